"""What a model of Stable-Baselines3 is saved as."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.buffers import ReplayBuffer

from agents.libraries.sb3_state import arrays_of, as_before, changed, copied, fill, filled, own_values, plain
from training.errors import UserError


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
    assert (name in own_values(SimpleNamespace(**{name: value}))) == own  # type: ignore[arg-type]


def test_what_did_not_change_is_the_configs() -> None:
    model = {"gamma": 0.9, "_n_updates": 0, "log_ent_coef": torch.zeros(1), "ent_coef_tensor": torch.ones(())}
    made = copied(model)
    model["_n_updates"] += 3
    model["log_ent_coef"] -= 1
    assert changed(model, made).keys() == {"_n_updates", "log_ent_coef"}


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


SIZES = st.integers(3, 12)


@given(size=SIZES, other=SIZES, steps=st.integers(1, 30), twice=st.booleans(), more=st.integers(0, 15))
def test_a_replay_buffer_of_another_size_goes_on_with_the_newest(
    size: int, other: int, steps: int, twice: bool, more: int
) -> None:
    """Whether next observations are kept twice or not; `done` is False, as a reset would overwrite the last one."""

    def made(size: int) -> ReplayBuffer:
        box, actions = spaces.Box(0, 1000, (1,)), spaces.Discrete(2)
        memory = {} if twice else {"optimize_memory_usage": True, "handle_timeout_termination": False}
        return ReplayBuffer(size * 2, box, actions, "cpu", n_envs=2, **memory)  # type: ignore[arg-type]

    def act(buffer: ReplayBuffer, steps: range) -> None:
        for t in steps:
            obs = np.array([[t], [t + 500]])
            buffer.add(obs, obs + 1, np.zeros((2, 1)), np.full(2, t), np.zeros(2), [{}, {}])

    first, second = made(size), made(other)
    act(first, range(steps))
    fill(second, filled(first))
    act(second, range(steps, steps + more))
    held = min(min(steps, size - (not twice)) + more, steps + more, other - (not twice))
    drawn = second.sample(400)
    seen = drawn.observations[:, 0].numpy() % 500
    assert set(seen.tolist()) <= set(range(steps + more - held, steps + more)), "only the newest"
    assert len(set(seen.tolist())) > held / 2, "and all of them"
    np.testing.assert_array_equal(drawn.next_observations, drawn.observations + 1)
    np.testing.assert_array_equal(drawn.rewards[:, 0], seen)


def test_a_replay_buffer_that_keeps_other_things_is_refused() -> None:
    def buffer(**arrays: Any) -> Any:
        return SimpleNamespace(buffer_size=4, pos=0, full=False, optimize_memory_usage=False, **arrays)

    obs = np.zeros((4, 1))
    with pytest.raises(UserError, match="only one of them has next_observations"):
        fill(buffer(observations=obs), filled(buffer(observations=obs, next_observations=obs)))
