"""Videos of a policy at work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from envs.config import EnvConfig
from envs.returned import ContractError, of_reset, of_step
from envs.single import make_env
from envs.vectors.vector import EnvFault, describe_fault, episode_seed
from training.errors import UserError
from training.extras import extra, install_command

DEFAULT_FPS = 30
SMALLEST_PIXELS = 160
"""Lower pictures, such as those of grids, are enlarged by a whole number up to this height."""
MAX_FRAMES = 10_000
"""An episode without an end is cut here."""


class Predict(Protocol):
    """A policy: from what `env.reset` and `env.step` give to what `env.step` takes."""

    def __call__(self, obs: Any, *, action_mask: Any, reward: float) -> Any: ...


def record_video(config: EnvConfig, predict: Predict, folder: Path, *, seed: int, episode: int = 0) -> Path:
    """Writes an episode of environment 0 of `make_vec(config, ..., seed=seed)` as a video; returns its path.

    It is `<id>-seed-<seed>.mp4`, with `-episode-<episode>` before the dot for other episodes than the first.
    Raises UserError where the extra "video" is missing or the environment cannot be rendered as pictures.
    """
    # pygame opens a sound device that many machines lack, and complains at length.
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    with closing(make_env(config, render_mode="rgb_array")) as env:
        name = config.id.rpartition(":")[2].replace("/", "-")
        path = folder / f"{name}-seed-{seed}{f'-episode-{episode}' if episode else ''}.mp4"
        folder.mkdir(parents=True, exist_ok=True)
        with closing(_open_writer(path, fps=env.metadata.get("render_fps", DEFAULT_FPS))) as writer:
            for picture in _play(config, env, predict, seed, episode):
                writer.append_data(picture)
    return path


def _open_writer(path: Path, *, fps: int) -> Any:
    with extra("video"):
        from imageio.v2 import get_writer

        return get_writer(path, format="FFMPEG", fps=fps, macro_block_size=None)


def _play(
    config: EnvConfig, env: gym.Env[Any, Any], predict: Predict, seed: int, episode: int
) -> Iterator[NDArray[np.uint8]]:
    action, step = None, 0
    try:
        obs, info = of_reset(env.reset(seed=episode_seed(seed, 0, episode)))
        yield _picture(config, env)
        reward = 0.0
        while step + 1 < MAX_FRAMES:
            step += 1
            action = predict(obs, action_mask=info.get("action_mask"), reward=reward)
            obs, reward, terminated, truncated, info = of_step(env.step(action))
            yield _picture(config, env)
            if terminated or truncated:
                return
    except ContractError as error:
        raise EnvFault(describe_fault(config.id, 0, episode, step, action, str(error))) from error


def rendered(config: EnvConfig, env: gym.Env[Any, Any]) -> Any:
    """What the environment draws, in its render mode; None where it draws nothing.

    Raises UserError where a package is missing for it.
    """
    try:
        return env.render()
    except NotImplementedError:
        return None
    except gym.error.DependencyNotInstalled as error:
        line = str(error).split("\n", 1)[0]
        raise UserError(
            f"{config.id}: a package is missing ({line}); install it: {install_command('video')}"
        ) from error


def _picture(config: EnvConfig, env: gym.Env[Any, Any]) -> NDArray[np.uint8]:
    picture = rendered(config, env)
    if not isinstance(picture, np.ndarray):
        raise UserError(f"{config.id} cannot be recorded: it does not render in the mode 'rgb_array'")
    if picture.dtype.kind == "f":  # of 0 to 1
        picture = (255 * picture).astype(np.uint8)
    scale = max(1, SMALLEST_PIXELS // len(picture))
    enlarged: NDArray[np.uint8] = picture.repeat(scale, axis=0).repeat(scale, axis=1)
    # The codec needs even sizes: pictures of odd size lose a row or column.
    return enlarged[: len(enlarged) // 2 * 2, : enlarged.shape[1] // 2 * 2]
