"""States as files: what comes back is equal to the bit, and what cannot be saved is named."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from training.run.serialization import load_state, write_state
from training.state import State


def written_and_loaded(folder: Path, state: State) -> State:
    write_state(folder, "agent", state)
    return load_state(folder, "agent")


def assert_same(saved: Any, loaded: Any) -> None:
    """Equal values of equal types, floats and tensors to the bit."""
    if isinstance(saved, torch.Tensor):
        assert (loaded.dtype, loaded.shape) == (saved.dtype, saved.shape)
        assert loaded.numpy(force=True).tobytes() == saved.numpy(force=True).tobytes()
        return
    assert type(saved) is type(loaded)
    if isinstance(saved, np.ndarray):
        assert (loaded.dtype, loaded.shape, loaded.tobytes()) == (saved.dtype, saved.shape, saved.tobytes())
    elif isinstance(saved, dict):
        assert list(saved) == list(loaded)
        for key in saved:
            assert_same(saved[key], loaded[key])
    elif isinstance(saved, list | tuple):
        assert len(saved) == len(loaded)
        for one, other in zip(saved, loaded, strict=True):
            assert_same(one, other)
    elif isinstance(saved, float):
        assert struct.pack("d", saved) == struct.pack("d", loaded)
    else:
        assert saved == loaded


DTYPES = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**63, max_value=2**128)
    | st.floats()
    | st.text(st.characters())
    | ARRAYS
    | ARRAYS.map(np.transpose)
    | ARRAYS.map(torch.tensor)
    | ARRAYS.map(lambda array: torch.tensor(array).T if array.ndim == 2 else torch.tensor(array))
)
KEYS = (
    st.text(st.characters(), max_size=6) | st.integers() | st.sampled_from(["$int", "$tensor", "a.b", "__metadata__"])
)
STATES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(KEYS, inner, max_size=3)
            | st.lists(inner, max_size=2).map(tuple)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


@given(state=STATES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_state_comes_back_equal_to_the_bit(state: State, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("state")
    assert_same(state, written_and_loaded(folder, state))


def test_tensors_of_every_layout_come_back(tmp_path: Path) -> None:
    shared = torch.arange(12.0).reshape(3, 4)
    state = {
        "bfloat16": torch.tensor([1.5, -0.0, math.inf, math.nan], dtype=torch.bfloat16).view(torch.int16),
        "scalar": torch.ones((), dtype=torch.bool),
        "shared": shared,
        "tied": shared,
        "view": shared[1],
        "column": shared[:, 1],
        "expanded": torch.ones(1).expand(5),
        "parameter": nn.Parameter(torch.ones(2)).detach(),
        "read_only": np.frombuffer(b"\x01\x02", dtype=np.uint8),
        "reversed": np.arange(5)[::-1],
        "negative_zero": [-0.0, math.inf, -math.inf, struct.unpack("<d", b"\x01\x00\x00\x00\x00\x00\xf8\xff")[0]],
    }
    loaded = written_and_loaded(tmp_path, state)
    assert_same(state, loaded)
    loaded["tied"].zero_()
    assert loaded["shared"].sum() == 66, "tensors that were tied are separate tensors"
    assert load_state(tmp_path, "agent")["tied"].sum() == 66, "files do not change with them"


def test_bfloat16_keeps_its_type(tmp_path: Path) -> None:
    assert written_and_loaded(tmp_path, {"x": torch.ones(3, dtype=torch.bfloat16)})["x"].dtype == torch.bfloat16


def test_generators_and_modules_and_optimizers_go_on_where_they_were(tmp_path: Path) -> None:
    rng, generator = np.random.default_rng(3), torch.Generator().manual_seed(4)
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(4, 2)).sum().backward()
    optimizer.step()
    state = {
        "rng": rng.bit_generator.state,
        "generator": generator.get_state(),
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    write_state(tmp_path, "agent", state)
    expected = rng.random(5), torch.rand(5, generator=generator)
    loaded = load_state(tmp_path, "agent")
    other_rng, other_generator = np.random.default_rng(0), torch.Generator()
    other_rng.bit_generator.state = loaded["rng"]
    other_generator.set_state(loaded["generator"])
    assert (other_rng.random(5) == expected[0]).all()
    assert torch.equal(torch.rand(5, generator=other_generator), expected[1])
    other_module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    other_module.load_state_dict(loaded["module"])
    torch.optim.Adam(other_module.parameters()).load_state_dict(loaded["optimizer"])
    assert_same(dict(module.state_dict()), dict(other_module.state_dict()))


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({1, 2}, "set"),
        (np.float64(1.0), "numpy.float64"),
        (np.array([object()]), "object"),
        (np.arange(3, dtype=">i4"), ">i4"),
        (np.ma.masked_array([1], [True]), "MaskedArray"),
        (torch.ones(2, device="meta"), "Tensor"),
        (torch.ones(2).to_sparse(), "Tensor"),
        (torch.ones(2, dtype=torch.complex64), "complex64"),
        (nn.Linear(1, 1), "Linear"),
        ({(1, 2): 3}, "tuple"),
    ],
)
def test_what_cannot_be_saved_is_named_with_its_path(value: Any, named: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=rf"agent\.inner\.1.*{named}"):
        write_state(tmp_path, "agent", {"inner": [0, value]})
