"""What a model of Stable-Baselines3 is saved as."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from agents.libraries.sb3_state import arrays_of, as_before, fill, filled, is_own, plain


class Pair(NamedTuple):
    first: Any
    second: Any


def test_named_tuples_become_tuples_and_come_back() -> None:
    before = Pair((torch.zeros(2), torch.zeros(1)), torch.zeros(3))
    saved = plain(Pair((torch.ones(2), torch.ones(1)), torch.ones(3)))
    assert type(saved) is tuple
    again = as_before(before, saved)
    assert type(again) is Pair
    assert torch.equal(again.first[0], torch.ones(2))


@pytest.mark.parametrize(
    ("name", "value", "own"),
    [
        ("num_timesteps", 3, True),
        ("log_ent_coef", torch.zeros(1), True),
        ("_total_timesteps", 3, False),
        ("start_time", 3, False),
        ("use_sde", True, False),
        ("policy_kwargs", {}, False),
    ],
)
def test_its_own_are_counts_and_variables(name: str, value: Any, own: bool) -> None:
    assert is_own(name, value) == own


def test_a_noise_is_its_arrays() -> None:
    assert list(arrays_of(SimpleNamespace(mu=np.zeros(1), theta=0.1, noise_prev=torch.ones(1)))) == ["mu", "noise_prev"]


@pytest.mark.parametrize(("pos", "full", "rows"), [(2, False, 3), (0, True, 4)])
def test_a_replay_buffer_is_saved_as_far_as_it_is_filled(pos: int, full: bool, rows: int) -> None:
    def buffer(value: int) -> Any:
        obs = {"a": np.full((4, 1), value)}
        return SimpleNamespace(buffer_size=4, pos=pos, full=full, rewards=np.full((4, 1), value), obs=obs)

    saved = filled(buffer(7))
    assert {name: len(array) for name, array in saved["arrays"].items()} == {"rewards": rows, "obs/a": rows}
    other = buffer(0)
    other.pos, other.full = 0, False
    fill(other, saved)
    assert (other.pos, other.full) == (pos, full)
    assert (other.obs["a"][:rows] == 7).all()
    assert (other.obs["a"][rows:] == 0).all()
