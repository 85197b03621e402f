"""What stands between one environment and the agent.

From the inside out: the environment, Gymnasium's OrderEnforcing and TimeLimit and the wrappers its registration asks
for (all by `gym.make`), actions clipped and rescaled, observations stacked. The stack is outermost so that the first
observation of an episode is padded with itself. Statistics stay out of here: observation normalization belongs to the
policy and reward scaling to envs/reward_scale.py, because an episode is restored by stepping these wrappers again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import FrameStackObservation, TransformAction
from gymnasium.wrappers.utils import rescale_box

from envs.config import EnvConfig

Translate = Callable[[Any], Any]


def wrap(env: gym.Env[Any, Any], config: EnvConfig) -> gym.Env[Any, Any]:
    """The environment as the agent sees it."""
    action_space, translate = action_translation(env.action_space, rescale=config.rescale_action)
    if translate is not None:
        env = TransformAction(env, translate, action_space)
    if config.frame_stack > 1:
        env = FrameStackObservation(env, config.frame_stack, padding_type="reset")
    return env


def action_translation(space: gym.Space[Any], *, rescale: bool) -> tuple[gym.Space[Any], Translate | None]:
    """The action space that the agent sees and how its actions become the environment's; None where nothing changes.

    Gymnasium's RescaleAction takes only a plain Box and its ClipAction forgets the bounds, so both are done here on
    every Box within the space, with Gymnasium's own arithmetic. Unbounded entries stay as they are.
    """
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return _translate_box(space, rescale=rescale)
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return _translate_parts(space, rescale=rescale)
    return space, None


def _translate_parts(space: spaces.Dict | spaces.Tuple, *, rescale: bool) -> tuple[gym.Space[Any], Translate | None]:
    inner: list[tuple[Any, gym.Space[Any]]]
    inner = list(space.spaces.items()) if isinstance(space, spaces.Dict) else list(enumerate(space.spaces))
    outer = {key: action_translation(part, rescale=rescale) for key, part in inner}
    translate = {key: function or _same for key, (_, function) in outer.items()}
    if all(function is _same for function in translate.values()):
        return space, None
    if isinstance(space, spaces.Dict):
        whole = spaces.Dict([(key, part) for key, (part, _) in outer.items()])
        return whole, lambda action: {key: function(action[key]) for key, function in translate.items()}
    parts = spaces.Tuple([part for part, _ in outer.values()])
    return parts, lambda action: tuple(function(action[key]) for key, function in translate.items())


def _translate_box(box: spaces.Box, *, rescale: bool) -> tuple[spaces.Box, Translate]:
    bounded = np.isfinite(box.low) & np.isfinite(box.high)
    ones = np.ones(box.shape, box.low.dtype)
    outer_low, outer_high = np.where(bounded, -ones, box.low), np.where(bounded, ones, box.high)
    if not rescale or (np.array_equal(outer_low, box.low) and np.array_equal(outer_high, box.high)):
        return box, lambda action: np.clip(action, box.low, box.high)
    outer, _, to_inner = rescale_box(box, outer_low, outer_high)
    # Clipped after rescaling, so that rounding cannot push an action over the environment's bounds either.
    return outer, lambda action: np.clip(to_inner(action), box.low, box.high)


def _same(action: Any) -> Any:
    return action
