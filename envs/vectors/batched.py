"""Environments whose N copies are one NumPy computation, bit for bit the same as Gymnasium's own environment.

What is particular to an environment is a `Dynamics`: a few pure functions in a file of its own, see
envs/tasks/cartpole.py. Seeds, time limit, autoreset and the saved state are here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from envs.actions import check_actions
from envs.spaces import leaves
from envs.vectors.episode_generators import EpisodeGenerators
from envs.vectors.vector import Arrays, EnvFault, Step, VectorEnv
from training.errors import require
from training.state import State

Float = NDArray[np.float64]
STEP = ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * 4)
OBSERVE = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * 2)
"""The kinds of the compiled functions of a Dynamics."""


@dataclass(frozen=True)
class Dynamics:
    """An environment as pure functions; the state is float64 [S, N], so that each variable is contiguous."""

    observation_space: gym.Space[Any]
    action_space: gym.Space[Any]
    initial_state: Callable[[np.random.Generator], Float]
    """One environment's state [S] at its reset, drawn as Gymnasium draws it."""
    transition: Callable[[Float, NDArray[Any]], tuple[Float, Float, NDArray[np.bool_]]]
    """(state [S, N], action [N, ...]) -> (next state [S, N], reward [N], terminated [N]); changes no argument. Of
    matches of K agents there are N states and ends, and K * N actions and rewards, those of a match next to each
    other."""
    observe: Callable[[Float], NDArray[np.float32]]
    """State [S, N] -> a new array of observations [N, ...], of K agents [K * N, ...]."""
    compiled: Callable[[], tuple[int, int] | None] = lambda: None
    """The addresses of both as compiled functions, where there are any: step(N, state [S, N], action, reward [N],
    terminated [N]), which changes the state in place, and observe(N, stride, state, obs), with variable i of the n-th
    environment at state[i * stride + n]. An episode's first observation comes from `observe` above."""
    num_agents: int = 1
    """K, of a match."""
    legal: Callable[[Float], NDArray[np.bool_]] | None = None
    """State [S, N] -> which actions are allowed, [N, A]; None: all are."""
    alternates: bool = False
    """Whether two players of a zero-sum game move in turn: a row is seen, acted on and rewarded as who is to move."""
    max_episode_steps: int | None = None
    """The time limit of an environment that is not registered with one."""


class BatchedVectorEnv(VectorEnv):
    """N copies of one environment stepped at once, as a VectorEnv; its state is saved directly."""

    def __init__(self, dynamics: Dynamics, num_envs: int, *, time_limit: int, seed: int, first_env: int) -> None:
        self.num_agents, self.time_limit = dynamics.num_agents, time_limit
        self.num_envs = num_envs * self.num_agents
        self.observation_space, self.action_space = dynamics.observation_space, dynamics.action_space
        self.inexact: list[str] = []
        self.dynamics, self._action_leaves = dynamics, leaves(self.action_space)
        self._generators = EpisodeGenerators(num_envs, seed=seed, first_env=first_env)
        self._episode = np.full(num_envs, -1, np.int64)
        self._episode_steps = np.zeros(num_envs, np.int64)
        self._state: Float = np.zeros((0, num_envs))  # until the reset
        self._mask: NDArray[np.bool_] | None = None

    @property
    def episode_steps(self) -> NDArray[np.int64]:
        return self._of_rows(self._episode_steps).copy()

    def reset(self) -> Step:
        self._episode[:] = 0
        self._episode_steps[:] = 0
        self._state = self.initial_states(self._episode, np.arange(len(self._episode)))
        return self.current()

    def current(self) -> Step:
        obs, nothing = self.dynamics.observe(self._state), np.zeros(self.num_envs, np.bool_)
        step = Step({"obs": obs}, np.zeros(self.num_envs), nothing, nothing.copy(), {"obs": obs[nothing]})
        return self._with_turns(step, None)

    def send(self, action: Arrays) -> None:
        assert self._episode[0] >= 0, "step before reset"
        checked = check_actions(self._action_leaves, action, self.num_envs, self._mask)["action"]
        self._state, reward, terminated = self.dynamics.transition(self._state, checked)
        self._episode_steps += 1
        truncated = self._episode_steps >= self.time_limit
        obs = self.dynamics.observe(self._state)
        (ended,) = (terminated | truncated).nonzero()
        rows = self._rows(ended)
        final_obs, final_state = obs.take(rows, axis=0), self._state[:, ended] if self.dynamics.legal else None
        if len(ended):
            self._episode[ended] += 1
            self._episode_steps[ended] = 0
            self._state[:, ended] = self.initial_states(self._episode, ended)
            obs[rows] = self.dynamics.observe(self._state[:, ended])
        step = Step({"obs": obs}, reward, self._of_rows(terminated), self._of_rows(truncated), {"obs": final_obs})
        self._stepped = self._with_turns(step, final_state)

    def receive(self) -> Step:
        return self._stepped

    def state_dict(self) -> State:
        return {
            "episode": self._episode.copy(),
            "episode_steps": self._episode_steps.copy(),
            "state": self._state.copy(),
        }

    def load_state_dict(self, state: State) -> None:
        saved, own = len(state["episode"]), len(self._episode)
        require(saved == own, "num_envs", own, f"{saved}, as in the saved state")
        self._episode, self._episode_steps = state["episode"].copy(), state["episode_steps"].copy()
        self._state = state["state"].copy()
        self.current()  # what is allowed now

    def close(self) -> None:
        """There is nothing to end."""

    def _rows(self, matches: NDArray[np.intp]) -> NDArray[np.intp]:
        """Of all agents of these matches."""
        if self.num_agents == 1:
            return matches
        return (matches[:, None] * self.num_agents + np.arange(self.num_agents)).ravel()

    def _of_rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """What is said of each match [N], for each of its agents."""
        return values if self.num_agents == 1 else values.repeat(self.num_agents)

    def _with_turns(self, step: Step, final_state: Float | None) -> Step:
        """The step with what is allowed now, and with who is to move."""
        if self.dynamics.alternates:
            step = step._replace(opponent_next=np.ones(self.num_envs, np.bool_))
        if self.dynamics.legal is None:
            return step
        self._mask = self.dynamics.legal(self._state)
        if not self._mask.any(1).all():
            row = int(np.argmin(self._mask.any(1)))
            raise EnvFault(f"row {row}: the game goes on and there is no legal move: it takes one, or an end")
        if final_state is None:
            return step._replace(action_mask=self._mask, final_action_mask=self._mask[:0])
        final_mask = self.dynamics.legal(final_state)
        final_mask[~final_mask.any(1)] = True  # nothing can be done any more, see envs/masks.py
        return step._replace(action_mask=self._mask, final_action_mask=final_mask)

    def initial_states(self, episode: NDArray[np.int64], rows: NDArray[np.int64]) -> Float:
        """Of the environments `rows` [K], where these episodes [N] begin: [S, K]."""
        begun = self._generators.begin(episode, rows)
        return np.ascontiguousarray(np.array([self.dynamics.initial_state(generator) for generator in begun]).T)

    def arrays(self) -> tuple[Float, NDArray[np.int64], NDArray[np.int64]]:
        """State [S, N], episode [N] and steps in it [N], for what steps the environments in place."""
        self._state = np.ascontiguousarray(self._state)
        return self._state, self._episode, self._episode_steps
