"""Plays vector environments at random and compares what they gave."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from envs.masks import mask_parts
from envs.spaces import leaves
from envs.vectors.vector import Arrays, Step, VectorEnv, named
from training.state import State

TOY = "tests.support.toy_envs:"


def sample_actions(vec: VectorEnv, rng: np.random.Generator, mask: np.ndarray | None = None) -> Arrays:
    if mask is not None:
        ends = np.cumsum(mask_parts(vec.action_space))
        drawn = [[rng.choice(np.flatnonzero(part)) for part in np.split(row, ends[:-1])] for row in mask]
        return {"action": np.array(drawn).reshape(vec.num_envs, *(vec.action_space.shape or ()))}
    actions = {}
    for leaf in leaves(vec.action_space):
        shape = (vec.num_envs, *leaf.shape)
        if isinstance(leaf.space, spaces.Box):
            drawn = rng.uniform(leaf.space.low, leaf.space.high, shape).astype(leaf.dtype)
        else:
            drawn = rng.integers(0, leaf.counts, shape)
        actions[named("action", leaf.name)] = drawn
    return actions


def kept(step: Step) -> list[np.ndarray]:
    """Copies of all that a step holds, in a fixed order."""
    arrays = [*step.obs.values(), step.reward, step.terminated, step.truncated, *step.final_obs.values()]
    masks = [mask for mask in (step.action_mask, step.final_action_mask) if mask is not None]
    return [array.copy() for array in arrays] + masks


def play(vec: VectorEnv, env_steps: int, rng: np.random.Generator, step: Step | None = None) -> list[list[np.ndarray]]:
    step = vec.reset() if step is None else step
    seen = [kept(step)]
    for _ in range(env_steps):
        step = vec.step(sample_actions(vec, rng, step.action_mask))
        seen.append(kept(step))
    return seen


def assert_same(one: list[list[np.ndarray]], other: list[list[np.ndarray]]) -> None:
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        for a, b in zip(left, right, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)


def assert_same_state(one: State, other: State) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, dict):
            assert_same_state(value, other[key])
        else:
            np.testing.assert_array_equal(value, other[key], strict=True)
