"""From a config to one environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from envs.config import EnvConfig, find_spec
from envs.wrappers import wrap
from training.core import UserError

INSTALL = ".venv/bin/pip install -c constraints.txt"


def make_env(config: EnvConfig, *, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """One environment, wrapped (see envs/wrappers.py).

    Raises UserError where a package is missing or the environment does not take its `kwargs`.
    """
    kwargs = dict(config.kwargs) if render_mode is None else {**config.kwargs, "render_mode": render_mode}
    spec = find_spec(config.id)
    try:
        # Gymnasium's own checker is off: envs/lane.py checks what the environment returns, on every step.
        env = gym.make(spec, max_episode_steps=config.time_limit, disable_env_checker=True, **kwargs)
    except (ImportError, gym.error.DependencyNotInstalled) as error:
        raise UserError(f"env.id = {config.id!r}: a package is missing ({_first_line(error)}){_hint(spec)}") from error
    except TypeError as error:
        if "argument" not in str(error):
            raise
        message = f"env.kwargs = {config.kwargs!r}: {config.id} does not take them ({_first_line(error)})"
        raise UserError(message) from error
    return wrap(env, config)


def _hint(spec: EnvSpec) -> str:
    entry_point = str(spec.entry_point)
    for extra in ("box2d", "mujoco"):
        if entry_point.startswith(f"gymnasium.envs.{extra}"):
            return f'; install it: {INSTALL} -e ".[{extra}]"'
    return "; install the package that this environment needs"


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0]
