"""Named stacks of wrappers: what was published for a family of environments.

`atari`: Mnih et al. 2015 (https://doi.org/10.1038/nature14236) as Machado et al. 2018 (https://arxiv.org/abs/1709.06009,
section 5) ask for it. An action is repeated for 4 frames, of whose last two the brighter value of each pixel counts; an
episode begins with 1 to 30 frames in which nothing is done; an observation is the 4 newest pictures, grey, 84 x 84.
The loss of a life ends no episode, and rewards are not clipped: that is a matter of learning (`clip_reward`), so that
returns are those of the game. Actions that stick are the environment's own (25 % in the `-v5` ids).

`minigrid`: the agent's view, 7 x 7 cells, and its direction, without the text of the mission. Each cell is three
numbers (object, colour, state), which are no amounts: they become one-hot channels, as in MiniGrid's
OneHotPartialObsWrapper, of 0 and 255, so that a network that scales pictures by 1/255 sees 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation, TransformObservation

from training.errors import UserError, require
from training.extras import extra

Env = gym.Env[Any, Any]
CELL_VALUES = (11, 6, 3)
"""Kinds of objects, colours and states in MiniGrid."""


def atari(env: Env) -> Env:
    """Raises UserError for another environment than an Atari game, and for one that skips frames itself."""
    with extra("games"):
        import cv2  # noqa: F401 - it resizes the pictures
    if not hasattr(env.unwrapped, "ale"):
        raise UserError(f"env.wrappers: 'atari' takes an Atari game, such as ALE/Pong-v5; {_id(env)} is none")
    skipped = getattr(env.unwrapped, "_frameskip", None)
    require(skipped == 1, "env.kwargs.frameskip", skipped, "1 with the wrappers 'atari', which skip frames themselves")
    return FrameStackObservation(AtariPreprocessing(env), 4, padding_type="reset")


def minigrid(env: Env) -> Env:
    """Raises UserError for another environment than one of MiniGrid's."""
    space = env.observation_space
    parts = space.spaces if isinstance(space, spaces.Dict) else {}
    cells = parts.get("image")
    if not isinstance(cells, spaces.Box) or cells.shape[2:] != (len(CELL_VALUES),) or "direction" not in parts:
        takes = "the observations of MiniGrid, a dict with image and direction"
        raise UserError(f"env.wrappers: 'minigrid' takes {takes}; {_id(env)} observes a {type(space).__name__}")
    begins = np.cumsum((0, *CELL_VALUES[:-1]))
    one_hot = 255 * np.eye(sum(CELL_VALUES), dtype=np.uint8)

    def observe(obs: Mapping[str, Any]) -> dict[str, Any]:
        return {"image": one_hot[obs["image"] + begins].max(axis=2), "direction": obs["direction"]}

    image = spaces.Box(0, 255, (*cells.shape[:2], sum(CELL_VALUES)), np.uint8)
    return TransformObservation(env, observe, spaces.Dict({"image": image, "direction": parts["direction"]}))


STACKS: Mapping[str, Callable[..., Env]] = {"atari": atari, "minigrid": minigrid}
"""By the word that names them."""


def arguments_for(words: tuple[str, ...], entry_point: object) -> dict[str, Any]:
    """What an environment is made with, unless it is asked for otherwise, so that the stacks among its wrappers fit."""
    made_by_ale = str(entry_point).startswith("ale_py.")
    return {"frameskip": 1} if made_by_ale and "atari" in words else {}


def _id(env: Env) -> str:
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__
