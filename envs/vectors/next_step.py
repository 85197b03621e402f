"""Adapts Gymnasium vector envs that reset in the step after an episode's end (NEXT_STEP autoreset).

Their step after an end is no transition: it ignores the action and only returns the first observation of the next
episode, while all other environments act in the same call. The time of one environment looks like this:

    step        t-1                  t                          t+1
    returned    end, last obs        reset, first obs           a transition again
    Step        terminated, and the  valid False, reward 0,     valid True
                last obs in both     obs the first of the
                obs and final_obs    next episode

So the contract holds but for `valid`: what is False there must be kept out of every loss, replay, statistic and count
of env steps. Estimators need no other care: the end at t-1 cuts the recursion, and nothing flows into row t that is not
masked. The action asked for at t is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from envs.actions import check_actions
from envs.masks import allows_something, mask_array, mask_parts
from envs.returned import ContractError, of_reset, of_vector_step
from envs.spaces import SpaceError, flatten, leaves, unflatten
from envs.vectors.final_info import FinalInfo, VectorNumbers
from envs.vectors.vector import Arrays, EnvFault, Step, VectorEnv, episode_seed, named
from training.errors import UserError
from training.state import State


class NextStepVectorEnv(VectorEnv):
    """A NEXT_STEP vector env as a VectorEnv.

    Only the first episodes are seeded, and the data depend on how environments are split over vectors. Its episodes
    cannot be restored: loading a state starts new ones and says so in `inexact`. Raises UserError for a vector env with
    another autoreset.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], *, seed: int, first_env: int = 0) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.NEXT_STEP:
            raise UserError(f"{_name(env)}: its autoreset_mode is {mode}; the adapter takes AutoresetMode.NEXT_STEP")
        self.num_envs = env.num_envs
        self.observation_space, self.action_space = env.single_observation_space, env.single_action_space
        self.inexact: list[str] = []
        self._env, self._seed, self._first_env = env, seed, first_env
        self._obs_leaves, self._action_leaves = leaves(self.observation_space), leaves(self.action_space)
        self._starts = -1
        self._ended = np.zeros(self.num_envs, np.bool_)
        self._episode_steps = np.zeros(self.num_envs, np.int64)
        self._obs: Arrays = {}
        self._mask: NDArray[np.bool_] | None = None
        self._last_mask: NDArray[np.bool_] | None = None
        self._steps = 0

    @property
    def episode_steps(self) -> NDArray[np.int64]:
        return self._episode_steps.copy()

    def reset(self) -> Step:
        return self._start(0)

    def current(self) -> Step:
        nothing = np.zeros(self.num_envs, np.bool_)
        return self._step(np.zeros(self.num_envs), nothing, nothing.copy(), ~nothing)

    def send(self, action: Arrays) -> None:
        assert self._starts >= 0, "step before reset"
        checked = check_actions(self._action_leaves, action, self.num_envs, self._mask)
        rows = {leaf.name: self._clip(leaf.space, checked[named("action", leaf.name)]) for leaf in self._action_leaves}
        self._steps += 1
        try:
            taken = unflatten(self.action_space, self._action_leaves, rows)
            returned = self._env.step(taken)
        except Exception as error:
            raise self._fault(f"it raised {type(error).__name__}: {error}") from error
        valid = ~self._ended
        try:
            obs, rewards, terminated, truncated, info = of_vector_step(returned, self.num_envs)
        except ContractError as error:
            raise self._fault(str(error)) from error
        terminated, truncated = terminated & valid, truncated & valid
        reward = np.where(valid, rewards, 0.0)
        if not np.isfinite(reward).all():
            raise self._fault(
                f"the reward of env {self._first_env + int(np.argmin(np.isfinite(reward)))} is not finite"
            )
        self._ended = terminated | truncated
        self._episode_steps = np.where(valid, self._episode_steps + 1, 0)
        self._take(obs, info)
        self._numbers.add(info, valid)
        final_info = self._numbers.at_end(info, self._ended) if self._ended.any() else None
        self._stepped = self._step(reward, terminated, truncated, valid, final_info)

    def receive(self) -> Step:
        return self._stepped

    def state_dict(self) -> State:
        return {"starts": self._starts}

    def load_state_dict(self, state: State) -> None:
        self.inexact = []
        if state["starts"] >= 0:
            # Another seed than at the first start: the agent must not see the same episodes again.
            self._start(state["starts"] + 1)
            name, first = _name(self._env), self._first_env
            self.inexact = [
                f"envs {first} to {first + self.num_envs - 1} ({name}): a NEXT_STEP vector env starts again"
            ]

    def close(self) -> None:
        self._env.close()

    def _start(self, starts: int) -> Step:
        self._starts = starts
        try:
            returned = self._env.reset(seed=episode_seed(self._seed, self._first_env, starts))
        except Exception as error:
            raise self._fault(f"its reset raised {type(error).__name__}: {error}") from error
        try:
            obs, info = of_reset(returned)
        except ContractError as error:
            raise self._fault(str(error)) from error
        self._ended = np.zeros(self.num_envs, np.bool_)
        self._episode_steps = np.zeros(self.num_envs, np.int64)
        self._numbers = VectorNumbers(self.num_envs)
        self._take(obs, info)
        return self.current()

    def _take(self, obs: Any, info: Mapping[str, Any]) -> None:
        try:
            arrays = flatten(self._obs_leaves, obs, rows=(self.num_envs,))
        except (SpaceError, ValueError, TypeError) as error:
            raise self._fault(f"its observations broke their space: {error}") from error
        self._obs = {named("obs", name): array for name, array in arrays.items()}
        self._take_masks(info)

    def _take_masks(self, info: Mapping[str, Any]) -> None:
        """As envs/masks.py says, of all environments; where one has ended its next action is ignored."""
        parts, masks = mask_parts(self.action_space), info.get("action_mask")
        if masks is not None and not parts:
            raise UserError(
                f"{_name(self._env)}: it reports info['action_mask'], which is for Discrete and MultiDiscrete actions; "
                f"its are {self.action_space}"
            )
        if masks is None and self._last_mask is None:
            return
        reported = np.full(self.num_envs, masks is not None) & info.get("_action_mask", True)
        self._last_mask = np.ones((self.num_envs, sum(parts)), np.bool_)
        for row, mask in enumerate(_rows(masks, self.num_envs)):
            env = self._first_env + row
            try:
                given = mask_array(self.action_space, mask) if reported[row] else None
            except SpaceError as error:
                raise self._fault(f"env {env}: {error}") from error
            if given is not None and allows_something(parts, given):
                self._last_mask[row] = given
            elif not self._ended[row]:
                raise self._fault(f"env {env}: its info['action_mask'] must allow at least one action: {mask}")
        self._mask = self._last_mask | self._ended[:, None]

    def _step(
        self,
        reward: NDArray[Any],
        terminated: NDArray[Any],
        truncated: NDArray[Any],
        valid: NDArray[Any],
        final_info: tuple[FinalInfo, ...] | None = None,
    ) -> Step:
        ended = terminated | truncated
        final_obs = {key: array[ended] for key, array in self._obs.items()}
        final_mask = None if self._last_mask is None else self._last_mask[ended]
        obs, mask = dict(self._obs), self._mask
        return Step(obs, reward, terminated, truncated, final_obs, mask, valid, final_mask, final_info)

    def _clip(self, space: gym.Space[Any], action: NDArray[Any]) -> NDArray[Any]:
        return np.clip(action, space.low, space.high) if isinstance(space, spaces.Box) else action

    def _fault(self, what: str) -> EnvFault:
        self.close()
        return EnvFault(" ".join(f"{_name(self._env)}, vector step {self._steps}: {what}".split()))


def _rows(masks: Any, num_envs: int) -> Iterator[Any]:
    """What each environment reported, of an array [N, A] or [N] of objects, or of a tuple of arrays [N, n]."""
    if isinstance(masks, tuple):
        yield from zip(*(_rows(part, num_envs) for part in masks), strict=True)
    else:
        yield from [None] * num_envs if masks is None else masks


def _name(env: gym.vector.VectorEnv[Any, Any, Any]) -> str:
    return getattr(env.spec, "id", type(env).__name__)  # the spec of another library need not have one
