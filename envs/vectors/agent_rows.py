"""Matches of several agents as rows: agent k of K of match m is row m * K + k of a vector environment.

So a policy acts for all agents at once with the same weights, and rollouts, estimators and recording know nothing of
matches. Where an agent's part is over before its match, its row is not `valid` until the next one begins:

    step        t-1                    t .. u                  u+1
    agent       its part ends,         not valid, reward 0,    a new match:
                final obs              sees its last           its first obs, is_first
    match       goes on                ends at u               begins
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.actions import check_actions
from envs.multi_agent import MatchSpace
from envs.spaces import leaves
from envs.vectors.vector import Arrays, Step, VectorEnv, named
from training.state import State


class AgentRows(VectorEnv):
    """The agents of M matches, which `vec` steps as M environments of `envs.multi_agent.Match`."""

    def __init__(self, vec: VectorEnv, space: MatchSpace) -> None:
        self._vec = vec
        self.num_agents, self.num_envs = space.num_agents, vec.num_envs * space.num_agents
        self.observation_space, self.action_space = space.agent_observation, space.agent_action
        self._action_leaves = leaves(self.action_space)
        self._mask: NDArray[np.bool_] | None = None

    @property
    def inexact(self) -> list[str]:  # type: ignore[override]
        return self._vec.inexact

    @property
    def episode_steps(self) -> NDArray[np.int64]:
        return self._vec.episode_steps.repeat(self.num_agents)

    def reset(self) -> Step:
        return self._first(self._vec.reset())

    def current(self) -> Step:
        return self._first(self._vec.current())

    def send(self, action: Arrays) -> None:
        checked = check_actions(self._action_leaves, action, self.num_envs, self._mask)
        self._vec.send({key: array.reshape(-1, self.num_agents, *array.shape[1:]) for key, array in checked.items()})

    def receive(self) -> Step:
        step = self._vec.receive()
        ended = step.terminated | step.truncated
        told = self._of_this_step(step, ended)  # before an ended match began anew
        valid, terminated = _truth(told["acted"]), _truth(told["terminated"])
        # A time limit of ours cuts whoever still plays.
        cut = np.repeat(ended, self.num_agents) & valid & ~terminated
        truncated = _truth(told["truncated"]) | cut
        (rows,) = (terminated | truncated).nonzero()
        final_obs = {key: array[rows] for key, array in told.items() if key.split("/")[0] == "obs"}
        self._mask = self._masks(step.obs)
        final_mask = None if self._mask is None else _truth(told["masks"])[rows]
        return Step(
            self._seen(step.obs),
            np.where(valid, np.ascontiguousarray(told["reward"]).view(np.float64), 0.0),
            terminated,
            truncated,
            final_obs,
            self._mask,
            valid,
            final_mask,
        )

    def state_dict(self) -> State:
        return self._vec.state_dict()

    def load_state_dict(self, state: State) -> None:
        self._vec.load_state_dict(state)
        self._mask = self._masks(self._vec.current().obs)

    def close(self) -> None:
        self._vec.close()

    def _first(self, step: Step) -> Step:
        nothing = np.zeros(self.num_envs, np.bool_)
        seen = self._seen(step.obs)
        self._mask = self._masks(step.obs)
        no_mask = None if self._mask is None else self._mask[:0]
        none = {key: array[:0] for key, array in seen.items()}
        return Step(seen, np.zeros(self.num_envs), nothing, nothing.copy(), none, self._mask, None, no_mask)

    def _of_this_step(self, step: Step, ended: NDArray[np.bool_]) -> Arrays:
        """What the step brought to every agent, [M * K, ...]: `obs`, `reward` and the other parts of a MatchSpace."""
        parts = {}
        for key, array in step.obs.items():
            brought = array
            if ended.any():
                brought = array.copy()
                brought[ended] = step.final_obs[key]
            parts[_row_key(key)] = self._rows(brought) if brought.ndim > 1 else brought
        return parts

    def _seen(self, obs: Arrays) -> Arrays:
        return {_row_key(key): self._rows(array) for key, array in obs.items() if _is_seen(key)}

    def _masks(self, obs: Arrays) -> NDArray[np.bool_] | None:
        return _truth(self._rows(obs["obs/masks"])) if obs["obs/has_masks"].any() else None

    def _rows(self, array: NDArray[Any]) -> NDArray[Any]:
        return array.reshape(self.num_envs, *array.shape[2:])


def _is_seen(key: str) -> bool:
    return key.split("/")[1] == "seen"


def _row_key(key: str) -> str:
    """`obs/seen` is an agent's `obs`, `obs/seen/part` its `obs/part`; the others go by their own names."""
    if not _is_seen(key):
        return key.removeprefix("obs/")
    return named("obs", key.removeprefix("obs/seen").removeprefix("/"))


def _truth(flags: NDArray[Any]) -> NDArray[np.bool_]:
    return flags.astype(np.bool_)
