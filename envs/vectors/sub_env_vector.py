"""Sub-environments as one VectorEnv, stepped in this process or in worker processes over shared memory.

Gymnasium's SyncVectorEnv and AsyncVectorEnv are not used: they reset an environment at the end of an episode without a
seed, so that its later episodes could only be restored by replaying its whole life.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.actions import check_actions
from envs.vectors.action_history import ActionHistory
from envs.vectors.buffers import Buffers
from envs.vectors.final_info import FinalInfo
from envs.vectors.sub_env import EpisodeHistory
from envs.vectors.vector import Arrays, Step, VectorEnv, named
from training.errors import require
from training.state import State

LONG_EPISODE_STEPS = 1_000_000
"""From here on a user is told what it costs that an episode goes on."""


class Backend(Protocol):
    """Steps the sub-environments of all rows: `SubEnvs` in this process or `Workers` in others. Raises EnvFault."""

    def reset(self) -> None: ...

    def begin_step(self) -> None: ...

    def end_step(self) -> None: ...

    def restore(self, history: EpisodeHistory) -> list[str]: ...

    def close(self) -> None: ...


class SubEnvVectorEnv(VectorEnv):
    """N sub-environments as one VectorEnv; its state is the episodes and the actions since they began."""

    def __init__(self, env_id: str, buffers: Buffers, backend: Backend) -> None:
        layout = buffers.layout
        self.env_id, self.num_envs = env_id, layout.num_envs
        self.observation_space, self.action_space = layout.observation_space, layout.action_space
        self.inexact: list[str] = []
        self._buffers, self._backend = buffers, backend
        self._history = ActionHistory(buffers.action)  # of the steps since the longest running episode began
        self._boxes = {
            named("obs", leaf.name): leaf.space
            for leaf in buffers.obs_leaves
            if isinstance(leaf.space, spaces.Box) and _can_leave(leaf.space, leaf.dtype)
        }
        self._closed = self._warned = self._warned_of_length = False

    @property
    def episode_steps(self) -> NDArray[np.int64]:
        return self._buffers.episode_steps.copy()

    def reset(self) -> Step:
        self._run(self._backend.reset)
        self._history.clear()
        return self.current()

    def current(self) -> Step:
        nothing = np.zeros(self.num_envs, np.bool_)
        return self._step(np.zeros(self.num_envs, np.float64), nothing, nothing.copy())

    def send(self, action: Arrays) -> None:
        assert self._buffers.episode[0] >= 0, "step before reset"
        checked = check_actions(self._buffers.action_leaves, action, self.num_envs, self._mask())
        for key, array in checked.items():
            self._buffers.action[key][:] = array
        self._history.append(checked)
        self._run(self._backend.begin_step)

    def receive(self) -> Step:
        self._run(self._backend.end_step)
        self._history.keep(int(self._buffers.episode_steps.max()))
        self._warn_once_about_bounds()
        return self._step(self._buffers.reward.copy(), self._buffers.terminated.copy(), self._buffers.truncated.copy())

    def state_dict(self) -> State:
        self._warn_once_about_length()
        return {
            "episode": self._buffers.episode.copy(),
            "episode_steps": self._buffers.episode_steps.copy(),
            **self._history.state_dict(),
            "obs": {key: array.copy() for key, array in self._buffers.obs.items()},
        }

    def load_state_dict(self, state: State) -> None:
        saved = len(state["episode"])
        require(saved == self.num_envs, "num_envs", self.num_envs, f"{saved}, as in the saved state")
        self._history.clear()
        self.inexact = []
        if state["episode"][0] < 0:
            return
        if (steps := int(state["episode_steps"].max())) >= LONG_EPISODE_STEPS:
            warnings.warn(
                f"{self.env_id}: an episode of {steps:,} steps is played again, to go on with it", stacklevel=2
            )
        self._history.load_state_dict(state)
        episodes = EpisodeHistory(state["episode"], state["episode_steps"], self._history.actions(), state["obs"])
        self._run(lambda: self.inexact.extend(self._backend.restore(episodes)))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._backend.close()

    def _run(self, command: Callable[[], None]) -> None:
        if self._closed:
            raise RuntimeError(f"the vector env of {self.env_id} is closed")
        try:
            command()
        except BaseException:  # half a step was made: there is no way on
            self.close()
            raise

    def _mask(self) -> NDArray[np.bool_] | None:
        return self._buffers.action_mask if np.count_nonzero(self._buffers.has_mask) else None

    def _step(self, reward: NDArray[Any], terminated: NDArray[Any], truncated: NDArray[Any]) -> Step:
        (ended,), mask = (terminated | truncated).nonzero(), self._mask()
        final_obs = {key: array.take(ended, axis=0) for key, array in self._buffers.final_obs.items()}
        step = Step(dict(self._buffers.obs), reward, terminated, truncated, final_obs)
        if len(ended) and np.count_nonzero(self._buffers.info_count):
            step = step._replace(final_info=tuple(map(self._final_info, ended)))
        if mask is None:
            return step
        final_mask = self._buffers.final_action_mask.take(ended, axis=0)
        return step._replace(action_mask=mask.copy(), final_action_mask=final_mask)

    def _final_info(self, row: int) -> FinalInfo:
        count = self._buffers.info_count[row]
        names, values = self._buffers.info_names[row, :count], self._buffers.info_values[row, :count]
        return dict(zip(names.tolist(), values.tolist(), strict=True))

    def _warn_once_about_length(self) -> None:
        steps = int(self._buffers.episode_steps.max())
        if steps < LONG_EPISODE_STEPS or self._warned_of_length:
            return
        self._warned_of_length = True
        text = (
            f"{self.env_id}: an episode has had {steps:,} steps and no end. To resume it, all its actions are kept, "
            f"{self._history.nbytes / 2**20:.0f} MiB so far, and played again; env.time_limit would cut it"
        )
        warnings.warn(text, stacklevel=3)

    def _warn_once_about_bounds(self) -> None:
        """A Box is often only a rough description (LunarLander leaves its own), so leaving it is no fault."""
        if self._warned:
            return
        for key, box in self._boxes.items():
            array = self._buffers.obs[key]
            outside = (array < box.low) | (array > box.high)
            if np.count_nonzero(outside):
                self._warned = True
                row = int(np.argwhere(outside)[0][0])
                value = array[row][outside[row]].ravel()[0]
                text = f"{self.env_id}: {key} of env {row} holds {value}, outside its Box; this is said only once"
                warnings.warn(text, stacklevel=3)
                return


def _can_leave(box: spaces.Box, dtype: np.dtype[Any]) -> bool:
    """Whether a value of the dtype can lie outside: not for images, nor where there are no bounds."""
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    lowest, highest = (limits.min, limits.max) if limits is not None else (-np.inf, np.inf)
    return bool((box.low > lowest).any() or (box.high < highest).any())
