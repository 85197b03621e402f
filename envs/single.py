"""Makes one environment from a config, with its wrappers and its time limit.

From the inside out: the environment, Gymnasium's OrderEnforcing and TimeLimit and the wrappers its registration asks
for (all by `gym.make`), observations selected and stacked. Actions are rescaled and clipped for all environments at
once, where the policy hands them over (envs/actions.py). Statistics stay out of here too: observation normalization
belongs to the policy and reward scaling to agents/updates/reward_scale.py, because an episode is restored by stepping
these wrappers again.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import FrameStackObservation, TransformObservation

from envs.config import EnvConfig
from training.errors import UserError, require
from training.extras import install_command


def make_env(config: EnvConfig, *, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """One environment, as the agent sees it; raises UserError where it cannot be made."""
    takes = f"a backend that steps single environments, such as 'auto': EnvPool's {config.id} is none"
    require(config.backend != "envpool", "env.backend", config.backend, takes)
    kwargs = dict(config.kwargs) if render_mode is None else {**config.kwargs, "render_mode": render_mode}
    with user_errors(config):
        # Gymnasium's own checker is off: envs/vectors/sub_env.py checks what the environment returns, on every step.
        env = gym.make(config.spec, max_episode_steps=config.time_limit, disable_env_checker=True, **kwargs)
    if config.observation_indices is not None:
        indices = list(config.observation_indices)
        space = selected_space(env.observation_space, config)
        env = TransformObservation(env, lambda obs: obs[indices], space)
    if config.frame_stack > 1:
        env = FrameStackObservation(env, config.frame_stack, padding_type="reset")
    return env


def selected_space(space: gym.Space[Any], config: EnvConfig) -> spaces.Box:
    """The space of the `observation_indices` of a vector; raises UserError where it is none or too short."""
    assert config.observation_indices is not None
    vector = isinstance(space, spaces.Box) and len(space.shape) == 1
    takes = f"None: {config.id} observes {space}, which is no vector"
    require(vector, "env.observation_indices", config.observation_indices, takes)
    assert isinstance(space, spaces.Box)
    inside = max(config.observation_indices) < space.shape[0]
    takes = f"indices below {space.shape[0]}, the length of {config.id}'s observations"
    require(inside, "env.observation_indices", config.observation_indices, takes)
    indices = list(config.observation_indices)
    return spaces.Box(space.low[indices], space.high[indices], dtype=space.dtype)  # type: ignore[arg-type]


@contextmanager
def user_errors(config: EnvConfig) -> Iterator[None]:
    """Around the making of an environment: a UserError where a package is missing or it fails with given `kwargs`."""
    try:
        yield
    except (ImportError, gym.error.DependencyNotInstalled) as error:
        hint = _hint(config.spec)
        raise UserError(f"env.id = {config.id!r}: a package is missing ({_first_line(error)}){hint}") from error
    except UserError:
        raise
    except Exception as error:
        about_arguments = isinstance(error, TypeError) and "argument" in str(error)
        if about_arguments and "'render_mode'" in str(error):
            raise UserError(f"{config.id} cannot be rendered: it takes no render_mode") from error
        if not config.kwargs and not about_arguments:
            raise  # nothing that the user gave: the environment's own mistake
        told = traceback.format_exception_only(error)[0].split("\n", 1)[0]
        raise UserError(f"env.kwargs = {config.kwargs!r}: {config.id} does not take them ({told})") from error


def _hint(spec: EnvSpec) -> str:
    entry_point = str(spec.entry_point)
    for extra in ("box2d", "mujoco"):
        if entry_point.startswith(f"gymnasium.envs.{extra}"):
            return f"; install it: {install_command(extra)}"
    return "; install the package that this environment needs"


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0]
