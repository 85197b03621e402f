"""What stands between one environment and the agent.

From the inside out: the environment, Gymnasium's OrderEnforcing and TimeLimit and the wrappers its registration asks
for (all by `gym.make`), observations stacked. Actions are rescaled and clipped for all environments at once, where the
policy hands them over (`ToBounds`), so that a saved policy carries its action range. Statistics stay out of here too:
observation normalization belongs to the policy and reward scaling to envs/reward_scale.py, because an episode is
restored by stepping these wrappers again.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import FrameStackObservation
from numpy.typing import NDArray

from envs.config import EnvConfig


def wrap(env: gym.Env[Any, Any], config: EnvConfig) -> gym.Env[Any, Any]:
    """The environment as the agent sees it."""
    if config.frame_stack > 1:
        env = FrameStackObservation(env, config.frame_stack, padding_type="reset")
    return env


class ToBounds:
    """From an agent's actions [..., *shape] to those of a float Box: rescaled from [-1, 1], then clipped to the bounds.

    Entries without bounds on both sides are not rescaled, only clipped; `rescale=False` treats all of them so. It works
    on the actions of all environments at once, which a wrapper of each one could not.
    """

    def __init__(self, box: spaces.Box, *, rescale: bool) -> None:
        self._low, self._high = box.low, box.high
        bounded = np.isfinite(box.low) & np.isfinite(box.high) & rescale
        low, high = np.where(bounded, box.low, -1), np.where(bounded, box.high, 1)
        self._scale = ((high - low) / 2).astype(box.dtype)
        self._middle = ((high + low) / 2).astype(box.dtype)

    def __call__(self, action: NDArray[Any]) -> NDArray[Any]:
        # Clipped after rescaling, so that rounding cannot push an action over the bounds either.
        inside: NDArray[Any] = np.clip(action * self._scale + self._middle, self._low, self._high)
        return inside
