"""Videos of a policy at work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from envs.config import EnvConfig
from envs.single import INSTALL, make_env
from envs.spaces import Leaf, flatten, leaves, unflatten
from envs.vector import Arrays, Step, check_actions, episode_seed, named
from training.core import UserError

Act = Callable[[Step], Arrays]
"""A policy: from a step of one environment (N = 1) to its "action" or "action/<name>" [1, ...]."""

DEFAULT_FPS = 30
MAX_FRAMES = 10_000
"""An episode without an end is cut here."""


def record_video(config: EnvConfig, act: Act, folder: Path, *, seed: int) -> Path:
    """Writes one whole episode as `<id>-seed-<seed>.mp4` and returns its path.

    Raises UserError where the extra "video" is missing or the environment cannot be rendered as pictures.
    """
    try:
        from imageio.v2 import get_writer
    except ImportError as error:
        raise UserError(f'videos need a package ({error}); install it: {INSTALL} -e ".[video]"') from error
    env = make_env(config, render_mode="rgb_array")
    try:
        fps = env.metadata.get("render_fps", DEFAULT_FPS)
        name = config.id.rpartition(":")[2].replace("/", "-")
        path = folder / f"{name}-seed-{seed}.mp4"
        folder.mkdir(parents=True, exist_ok=True)
        # Pictures of odd size lose a row or column: the codec needs even ones.
        writer: Any = get_writer(path, fps=fps, macro_block_size=None)
        with closing(writer):
            _play(config, env, act, seed, writer.append_data)
    finally:
        env.close()  # type: ignore[no-untyped-call]
    return path


def _play(
    config: EnvConfig, env: gym.Env[Any, Any], act: Act, seed: int, show: Callable[[NDArray[np.uint8]], None]
) -> None:
    obs_leaves, action_leaves = leaves(env.observation_space), leaves(env.action_space)
    obs, info = env.reset(seed=episode_seed(seed, 0, 0))
    show(_picture(config, env))
    reward: SupportsFloat = 0.0
    for _ in range(MAX_FRAMES):
        step = _single_step(obs_leaves, obs, float(reward), info)
        action = check_actions(action_leaves, act(step), 1, step.action_mask)
        row = {leaf.name: action[named("action", leaf.name)][0] for leaf in action_leaves}
        obs, reward, terminated, truncated, info = env.step(unflatten(env.action_space, action_leaves, row))
        show(_picture(config, env))
        if terminated or truncated:
            return


def _single_step(obs_leaves: tuple[Leaf, ...], obs: Any, reward: float, info: dict[str, Any]) -> Step:
    arrays = {named("obs", name): array[None] for name, array in flatten(obs_leaves, obs).items()}
    mask = info.get("action_mask")
    going_on = np.zeros(1, np.bool_)
    return Step(
        obs=arrays,
        reward=np.array([reward]),
        terminated=going_on,
        truncated=going_on.copy(),
        final_obs={key: array[:0] for key, array in arrays.items()},
        action_mask=None if mask is None else np.asarray(mask, np.bool_)[None],
    )


def _picture(config: EnvConfig, env: gym.Env[Any, Any]) -> NDArray[np.uint8]:
    try:
        picture: Any = env.render()
    except NotImplementedError:
        picture = None
    except gym.error.DependencyNotInstalled as error:
        line = str(error).split("\n", 1)[0]
        raise UserError(f'{config.id}: a package is missing ({line}); install it: {INSTALL} -e ".[video]"') from error
    if not isinstance(picture, np.ndarray):
        raise UserError(f"{config.id} cannot be recorded: it does not render in the mode 'rgb_array'")
    return picture[: len(picture) // 2 * 2, : picture.shape[1] // 2 * 2]
