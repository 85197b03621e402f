"""One sub-environment of a vector: its seeded episodes, the checks on what it returns, how it is restored by replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import gymnasium as gym
import numpy as np

from envs.config import EnvConfig
from envs.masks import allows_something, mask_array, mask_parts
from envs.returned import ContractError, of_reset, of_step
from envs.single import make_env
from envs.spaces import SpaceError
from envs.vectors.buffers import Buffers
from envs.vectors.final_info import EpisodeNumbers
from envs.vectors.vector import Arrays, EnvFault, describe_fault, episode_seed
from training import interruption
from training.errors import UserError

Returned = TypeVar("Returned")

IN_RESET = -1
"""`episode_steps` of an environment before and during its reset."""


class EpisodeHistory(NamedTuple):
    """What is needed to restore running episodes; its rows [N] are the sub-environments to restore."""

    episode: np.ndarray[Any, np.dtype[np.int64]]
    """[N]"""
    episode_steps: np.ndarray[Any, np.dtype[np.int64]]
    """[N]"""
    actions: Arrays
    """[L, N, ...] the newest actions; the episode of env n was made of its last `episode_steps[n]`."""
    obs: Arrays
    """[N, ...] the observations that the replayed actions must end with."""

    def of(self, rows: range) -> EpisodeHistory:
        """The part of some neighbouring rows."""
        part = slice(rows.start, rows.stop)
        actions = {key: array[:, part] for key, array in self.actions.items()}
        obs = {key: array[part] for key, array in self.obs.items()}
        return EpisodeHistory(self.episode[part], self.episode_steps[part], actions, obs)


class SubEnv:
    """One environment that writes the results of its steps into its row of the buffers.

    Raises EnvFault where the environment breaks; it names the action that the buffers hold. Raises UserError where it
    reports masks that its actions cannot have.
    """

    def __init__(self, config: EnvConfig, buffers: Buffers, row: int, *, seed: int, first_env: int) -> None:
        self.config, self.buffers, self.row = config, buffers, row
        self.seed, self.env_index = seed, first_env + row
        self.env: gym.Env[Any, Any] | None = None
        self.fresh_instance = config.needs_fresh_instance
        self.used = False
        self.mask_parts = mask_parts(buffers.layout.action_space)
        self.masked: bool | None = None
        self.numbers = EpisodeNumbers()

    def begin(self, episode: int) -> None:
        """Resets the environment with the seed of an episode."""
        buffers, row = self.buffers, self.row
        buffers.episode[row], buffers.episode_steps[row] = episode, IN_RESET
        self.numbers.begin()
        seed = episode_seed(self.seed, self.env_index, episode)
        obs, info = self._call(lambda: self._instance().reset(seed=seed), of_reset)
        self.used = True
        self._write_obs(buffers.obs, obs)
        self._write_mask(info)
        buffers.episode_steps[row] = 0

    def step(self, action: Any) -> None:
        """One transition; where it ends the episode, the next one begins."""
        buffers, row = self.buffers, self.row
        obs, reward, terminated, truncated, info = self._call(lambda: self._step(action), of_step)
        buffers.reward[row], buffers.terminated[row], buffers.truncated[row] = reward, terminated, truncated
        if info:
            self.numbers.add(info)
        if terminated or truncated:
            self._write_obs(buffers.final_obs, obs)
            self._write_final_mask(info)
            self._write_final_info(info)
            self.begin(int(buffers.episode[row]) + 1)
        else:
            self._write_obs(buffers.obs, obs)
            self._write_mask(info)
            buffers.episode_steps[row] += 1

    def restore(self, history: EpisodeHistory, column: int) -> str | None:
        """Replays a running episode; where that ends elsewhere, starts it again and returns why."""
        episode, steps = int(history.episode[column]), int(history.episode_steps[column])
        try:
            self._replay(episode, steps, {key: array[:, column] for key, array in history.actions.items()})
            same = self.buffers.episode[self.row] == episode and all(
                np.array_equal(self.buffers.obs[key][self.row], array[column]) for key, array in history.obs.items()
            )
            why = "replaying its actions gives another observation"
        except EnvFault as fault:
            same, why = False, f"replaying its actions failed ({fault})"
        if same:
            return None
        self._discard()
        self.begin(episode)
        return f"env {self.env_index} ({self.config.id}): episode {episode} starts again at step 0 of {steps}: {why}"

    def close(self) -> None:
        self._discard()

    def _replay(self, episode: int, steps: int, actions: Arrays) -> None:
        """Takes the last `steps` of the actions [L, ...]."""
        self.begin(episode)
        length = len(next(iter(actions.values())))
        taken = {key: array[length - steps :] for key, array in actions.items()}
        for t, action in enumerate(self.buffers.env_actions(taken)):
            interruption.check()  # a long episode takes long to replay, and nothing is lost here
            for key, array in taken.items():
                self.buffers.action[key][self.row] = array[t]
            self.step(action)
            if self.buffers.episode[self.row] != episode:
                return

    def _instance(self) -> gym.Env[Any, Any]:
        if self.used and self.fresh_instance:
            self._discard()
        if self.env is None:
            self.env = make_env(self.config)
        return self.env

    def _discard(self) -> None:
        env, self.env, self.used = self.env, None, False
        if env is not None:
            env.close()  # type: ignore[no-untyped-call]

    def _step(self, action: Any) -> Any:
        assert self.env is not None, "step before reset"
        return self.env.step(action)

    def _call(self, act: Callable[[], Any], checked: Callable[[Any], Returned]) -> Returned:
        """Runs the environment's own code; what it raises becomes an EnvFault, and so does what breaks its contract."""
        buffers, row = self.buffers, self.row
        buffers.busy[row] = True
        try:
            returned = act()
        except ContractError as error:  # found by an adapter around it
            raise self._fault(str(error)) from error
        except Exception as error:
            raise self._fault(f"it raised {type(error).__name__}: {error}") from error
        buffers.busy[row] = False
        buffers.calls[row] += 1
        try:
            return checked(returned)
        except ContractError as error:
            raise self._fault(str(error)) from error

    def _write_obs(self, into: Arrays, obs: Any) -> None:
        try:
            for leaf, array in zip(self.buffers.obs_leaves, into.values(), strict=True):
                array[self.row] = leaf.encode(leaf.part(obs))
        except (SpaceError, ValueError, TypeError) as error:
            raise self._fault(f"its observation broke its space: {error}") from error

    def _write_mask(self, info: Mapping[str, Any]) -> None:
        """An environment that reports a mask at its first reset must do so on every observation that is acted on."""
        mask = self._reported_mask(info)
        if self.masked is None:
            self.masked = mask is not None
            self.buffers.has_mask[self.row] = self.masked
            self.buffers.action_mask[self.row] = self.buffers.final_action_mask[self.row] = True
        if self.masked != (mask is not None):
            raise self._fault("it reports info['action_mask'] on some observations and not on others")
        if mask is not None:
            if not allows_something(self.mask_parts, mask):
                counts = " and of ".join(map(str, self.mask_parts))
                what = f"must allow at least one of {counts} actions: {mask.astype(int).tolist()}"
                raise self._fault(f"its info['action_mask'] {what}")
            self.buffers.action_mask[self.row] = mask

    def _write_final_mask(self, info: Mapping[str, Any]) -> None:
        """Of an episode's last observation, on which nothing need be allowed; then all counts as allowed."""
        mask = self._reported_mask(info)
        if mask is not None and not self.masked:
            raise self._fault("it reports info['action_mask'] on some observations and not on others")
        known = mask is not None and allows_something(self.mask_parts, mask)
        self.buffers.final_action_mask[self.row] = mask if known else True

    def _write_final_info(self, info: Mapping[str, Any]) -> None:
        told = self.numbers.at_end(info)
        self.buffers.info_count[self.row] = len(told)
        for place, (name, value) in enumerate(told.items()):
            self.buffers.info_names[self.row, place] = name
            self.buffers.info_values[self.row, place] = value

    def _reported_mask(self, info: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
        mask = info.get("action_mask")
        if mask is None:
            return None
        if not self.mask_parts:
            raise UserError(
                f"env.id = {self.config.id!r}: it reports info['action_mask'], which is for Discrete and MultiDiscrete "
                f"actions; its are {self.buffers.layout.action_space}"
            )
        try:
            return mask_array(self.buffers.layout.action_space, mask)
        except SpaceError as error:
            raise self._fault(str(error)) from error

    def _fault(self, what: str) -> EnvFault:
        buffers, row = self.buffers, self.row
        return row_fault(buffers, row, self.config.id, self.env_index, what)


def row_fault(buffers: Buffers, row: int, env_id: str, env_index: int, what: str) -> EnvFault:
    """The fault of the environment of a row, as far as its row tells."""
    episode, steps = int(buffers.episode[row]), int(buffers.episode_steps[row])
    action: Any = {key: array[row].tolist() for key, array in buffers.action.items()}
    shown = None if steps == IN_RESET else action.get("action", action)
    return EnvFault(describe_fault(env_id, env_index, episode, steps + 1, shown, what))


class SubEnvs:
    """The sub-environments of some rows, stepped in turn in this process."""

    def __init__(self, config: EnvConfig, buffers: Buffers, rows: range, *, seed: int, first_env: int) -> None:
        self.sub_envs = [SubEnv(config, buffers, row, seed=seed, first_env=first_env) for row in rows]
        self._env_actions = buffers.env_actions
        self._action = {key: array[rows.start : rows.stop] for key, array in buffers.action.items()}

    def reset(self) -> None:
        for sub_env in self.sub_envs:
            sub_env.begin(0)

    def begin_step(self) -> None:
        for sub_env, action in zip(self.sub_envs, self._env_actions(self._action), strict=True):
            sub_env.step(action)

    def end_step(self) -> None:
        """In this process there is nothing to wait for."""

    def restore(self, history: EpisodeHistory) -> list[str]:
        reasons = [sub_env.restore(history, column) for column, sub_env in enumerate(self.sub_envs)]
        return [reason for reason in reasons if reason is not None]

    def close(self) -> None:
        for sub_env in self.sub_envs:
            sub_env.close()
