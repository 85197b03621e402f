"""Batched environments for a loop in C++: their step as a function there, and the first states of the next episodes.

A loop that steps many times must not come back for the first state of each episode, which NumPy's generator draws. So
some are drawn ahead; they are those that the environments would draw themselves.
"""

from __future__ import annotations

import ctypes

import numpy as np

from envs.vectors.batched import BatchedVectorEnv

AHEAD = 8
"""So many episodes of each environment are drawn at once."""


class Environments(ctypes.Structure):
    """As `rollout_kernel.cpp` takes them."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("step", "observe")),
        *((name, ctypes.c_int64) for name in ("count", "state_size", "obs_size", "time_limit")),
        *((name, ctypes.c_void_p) for name in ("state", "episode", "episode_steps")),
        ("ahead", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("first_state", "first_obs", "drawn")),
    )


class CompiledSteps:
    """How a loop steps the environments of `vec`, and their next episodes."""

    def __init__(self, vec: BatchedVectorEnv) -> None:
        self._vec = vec
        functions = vec.dynamics.compiled()
        assert functions is not None
        self._functions = functions
        state, shape = vec.arrays()[0], vec.observation_space.shape
        assert shape is not None
        self.obs_size = shape[0]
        self._drawn = np.zeros(vec.num_envs, np.int64)  # episodes below are in the arrays, as many as these hold
        self._first_state = np.empty((vec.num_envs, AHEAD, len(state)))
        self._first_obs = np.empty((vec.num_envs, AHEAD, self.obs_size), np.float32)

    def draw_ahead(self) -> None:
        """Draws the first states of the episodes that follow those that run now."""
        _, episode, _ = self._vec.arrays()
        following = episode + 1
        # Where an earlier state was loaded, or the environments were stepped otherwise, they are drawn anew.
        known = (following <= self._drawn) & (following >= self._drawn - AHEAD)
        self._drawn[~known] = following[~known]
        while len(rows := np.flatnonzero(self._drawn < following + AHEAD)):
            states, places = self._vec.initial_states(self._drawn, rows), self._drawn[rows] % AHEAD
            self._first_state[rows, places] = states.T
            self._first_obs[rows, places] = self._vec.dynamics.observe(states)
            self._drawn[rows] += 1

    def environments(self) -> Environments:
        """The environments as they are now, which a loop changes in place."""
        state, episode, episode_steps = self._vec.arrays()
        sizes = self._vec.num_envs, len(state), self.obs_size, self._vec.time_limit
        changed = [array.ctypes.data for array in (state, episode, episode_steps)]
        drawn = [array.ctypes.data for array in (self._first_state, self._first_obs, self._drawn)]
        return Environments(*self._functions, *sizes, *changed, AHEAD, *drawn)
