"""Our vector environments, adapted to Stable-Baselines3's VecEnv."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from agents.policies.policy import is_float_box
from envs.spaces import from_zero
from envs.vectors.final_info import FinalInfo
from envs.vectors.vector import Arrays, VectorEnv, named
from training.errors import UserError


class SB3VecEnv(VecEnv):
    """The same environments, episodes and seeds as our own algorithms act in.

    Without `vec` it has spaces only, as much as a policy needs to be built. `env_spaces` are the environment's own, for
    observations and actions; those that Stable-Baselines3 sees count from 0, as all arrays do.
    Raises UserError for spaces that Stable-Baselines3 has no place for.
    """

    def __init__(self, vec: VectorEnv | None, observation_space: Space[Any], action_space: Space[Any]) -> None:
        self._vec = vec
        self.env_spaces = observation_space, action_space
        self._names = _names(observation_space)
        if isinstance(action_space, spaces.Dict | spaces.Tuple):
            raise UserError(f"env: its actions are a {type(action_space).__name__}; Stable-Baselines3 takes none such")
        if isinstance(action_space, spaces.Box) and not is_float_box(action_space):
            raise UserError(f"env: its actions are {action_space}; Stable-Baselines3 gives a Box floats alone")
        self._action_dtype = action_space.dtype
        self._begun = False
        self._masks: NDArray[np.bool_] | None = None
        self._running = np.zeros(2 if vec is None else vec.num_envs)
        self._length = np.zeros(len(self._running), np.int64)
        self._ended: list[tuple[float, int, FinalInfo | None]] = []
        super().__init__(len(self._running), _seen(observation_space), from_zero(action_space))

    def take_ended(self) -> list[tuple[float, int, FinalInfo | None]]:
        """Return, length and numbers of the episodes that ended since it was last asked."""
        ended, self._ended = self._ended, []
        return ended

    def counts(self) -> Arrays:
        """Return and length, so far, of the running episodes, both [N]."""
        return {"return": self._running.copy(), "length": self._length.copy()}

    def set_counts(self, counts: Arrays) -> None:
        """The inverse of `counts`, once the environments have been restored; a restarted episode counts from 0."""
        assert self._vec is not None
        again = self._vec.episode_steps == 0
        self._running = np.where(again, 0.0, counts["return"])
        self._length = np.where(again, 0, counts["length"])

    def reset(self) -> Any:
        """Starts the first episodes; from then on it shows where they are: each that ended was followed by the next."""
        assert self._vec is not None
        step = self._vec.current() if self._begun else self._vec.reset()
        self._begun = True
        self._masks = step.action_mask
        return self._observations(step.obs)

    def step_async(self, actions: NDArray[Any]) -> None:
        assert self._vec is not None
        self._vec.send({"action": actions.astype(self._action_dtype, copy=False)})

    def step_wait(self) -> tuple[Any, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        assert self._vec is not None
        step = self._vec.receive()
        self._masks = step.action_mask
        done = step.terminated | step.truncated
        self._running += step.reward
        self._length += 1
        infos: list[dict[str, Any]] = [{} for _ in done]
        for k, n in enumerate(done.nonzero()[0]):
            infos[n]["terminal_observation"] = self._observations(step.final_obs, k)
            infos[n]["TimeLimit.truncated"] = bool(step.truncated[n] and not step.terminated[n])
            told = step.final_info[k] if step.final_info else None
            self._ended.append((float(self._running[n]), int(self._length[n]), told))
        self._running[done], self._length[done] = 0.0, 0
        return self._observations(step.obs), step.reward.astype(np.float32), done, infos

    def _observations(self, obs: Arrays, row: int | None = None) -> Any:
        """A copy of all rows or of one: an array, or a dict of them."""
        index = slice(None) if row is None else row
        if self._names is None:
            return np.array(obs["obs"][index])
        return {name: np.array(obs[named("obs", name)][index]) for name in self._names}

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        if method_name == "action_masks" and self._masks is not None:
            return list(self._masks)
        raise AttributeError(f"environments have no method {method_name} here")

    def has_attr(self, attr_name: str) -> bool:
        return attr_name == "action_masks" and self._masks is not None

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        if attr_name == "render_mode":
            return [None] * self.num_envs
        raise AttributeError(f"environments have no attribute {attr_name} here")

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise AttributeError(f"environments have no attribute {attr_name} here")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        return [False] * self.num_envs

    def seed(self, seed: int | None = None) -> Sequence[None]:
        """Their episodes have seeds already."""
        return [None] * self.num_envs

    def close(self) -> None:
        """They belong to who made them."""


def observations_for_sb3(step: Arrays, observation_space: Space[Any]) -> Any:
    """What our policies see, [N, ...], as Stable-Baselines3's take it."""
    names = _names(observation_space)
    return step["obs"] if names is None else {name: step[named("obs", name)] for name in names}


def _seen(space: Space[Any]) -> Space[Any]:
    if isinstance(space, spaces.Dict):
        return spaces.Dict({name: from_zero(part) for name, part in space.items()})
    return from_zero(space)


def _names(space: Space[Any]) -> list[str] | None:
    if not isinstance(space, spaces.Dict | spaces.Tuple):
        return None
    inner = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
    if isinstance(space, spaces.Tuple) or any(isinstance(part, spaces.Dict | spaces.Tuple) for part in inner):
        raise UserError("env: Stable-Baselines3 takes observations that are an array or a flat Dict of arrays")
    return list(space.spaces)
