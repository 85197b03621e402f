"""The arrays through which environments talk: their places in memory, and the actions in them."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from envs.vectors.buffers import ALIGNMENT, Buffers, Layout, shared_buffers

LAYOUT = Layout(
    spaces.Dict({"image": spaces.Box(0, 255, (3, 5), np.uint8), "speed": spaces.Box(-1, 1, (2,), np.float64)}),
    spaces.Discrete(4, start=1),
    3,
)


def test_two_sides_of_one_memory_see_the_same() -> None:
    ours, memory = shared_buffers(LAYOUT, bytearray)
    theirs = Buffers(LAYOUT, memory)
    assert (ours.episode == -1).all()
    assert (ours.episode_steps == -1).all()
    arrays = [*ours.obs.values(), *ours.final_obs.values(), *ours.action.values(), ours.action_mask, ours.has_mask]
    arrays += [ours.reward, ours.terminated, ours.truncated, ours.episode, ours.episode_steps, ours.busy, ours.calls]
    for number, array in enumerate(arrays):
        array[:] = number % 2 if array.dtype == np.bool_ else number  # none overlaps another
    for number, array in enumerate(arrays):
        assert (array == (number % 2 if array.dtype == np.bool_ else number)).all()
    assert (theirs.obs["obs/image"] == ours.obs["obs/image"]).all()
    assert (theirs.reward == ours.reward).all()
    starts = [array.__array_interface__["data"][0] for array in arrays]
    assert all((start - starts[0]) % ALIGNMENT == 0 for start in starts)
    assert len(memory) == ours.nbytes == Buffers(LAYOUT).nbytes


def test_environments_get_actions_of_their_own_space() -> None:
    assert list(Buffers(LAYOUT).env_actions({"action": np.array([0, 3, 1])})) == [1, 4, 2]
    assert LAYOUT.masked_actions == 4
    assert Layout(LAYOUT.observation_space, spaces.MultiBinary(2), 1).masked_actions == 0
