"""Model files: ONNX and torch's exported programs do what the module does, whatever the number of rows."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from serving.acting_module import ActingModule
from serving.comparison import acting_call, compare, inputs_for
from serving.model_file import as_call, load_model, write_model
from serving.signature import Signature, Value
from tests.support import ROOT
from tests.support.exported import POLICIES
from tests.support.marks import full_but
from training.errors import UserError

FAST = ("mixed",)
"""It has every kind of space."""


@pytest.mark.parametrize("name", full_but(FAST, POLICIES))
@pytest.mark.parametrize("ending", ["onnx", "pt2"])
def test_a_written_model_does_the_same_for_any_number_of_rows(name: str, ending: str, tmp_path: Path) -> None:
    policy = POLICIES[name]()
    module = ActingModule(policy)
    file = tmp_path / f"model.{ending}"
    write_model(module, module.signature, inputs_for(module.signature, 4), file)
    call = load_model(file, module.signature)
    compared = compare(acting_call(policy), call, module.signature)
    assert compared.same, compared
    for rows in (1, 3):
        inputs = inputs_for(module.signature, rows)
        for key, values in as_call(module)(inputs).items():
            assert np.allclose(call(inputs)[key], values, rtol=1e-5, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == [file.name], "all of it is in one file"
    for path in (ROOT, Path(torch.__file__).parent):
        assert str(path).encode() not in content_of(file), "it names files of this machine"


class Own(nn.Module):
    """What somebody's own network may do."""

    signature = Signature(
        (Value("obs", spaces.Box(-1, 1, (2,)), "float32"),), (Value("action", spaces.Box(-1, 1, (2,)), "float32"),)
    )

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"action": inputs["obs"] if float(inputs["obs"].sum()) > 0 else -inputs["obs"]}


def test_what_cannot_be_exported_is_one_line(tmp_path: Path) -> None:
    for ending in ("onnx", "pt2"):
        with pytest.raises(UserError, match=f"Own cannot be exported as {ending}: ") as caught:
            write_model(Own(), Own.signature, inputs_for(Own.signature, 4), tmp_path / f"model.{ending}")
        assert "\n" not in str(caught.value)


def content_of(file: Path) -> bytes:
    if file.suffix != ".pt2":
        return file.read_bytes()
    with zipfile.ZipFile(file) as parts:
        return b"".join(parts.read(name) for name in parts.namelist())
