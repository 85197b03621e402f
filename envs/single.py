"""Makes one environment from a config, with its wrappers and its time limit.

From the inside out: the environment, Gymnasium's OrderEnforcing, its own TimeLimit and the wrappers that its
registration asks for (all by `gym.make`), the config's `wrappers`, its `time_limit`, which so counts the steps of the
agent and not the frames that a wrapper skips; then observations, of which parts are dropped, selected and stacked.
Actions are rescaled and clipped for all environments at once, where the policy hands them over (envs/actions.py).
Statistics stay out of here too: observation normalization belongs to the policy and reward scaling to
agents/updates/reward_scale.py, because an episode is restored by stepping these wrappers again. A wrapper of a config's
that keeps some is told of (envs/wrapper_memory.py).
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import FrameStackObservation, TimeLimit, TransformObservation

from envs.config import EnvConfig
from envs.dropping import require_arrays, without
from envs.importing import PACKAGES
from envs.mujoco_warnings import show_warnings_once
from envs.stacks import arguments_for
from envs.wrappers import wrapped
from training.errors import UserError, require
from training.extras import install_command


def make_env(config: EnvConfig, *, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """One environment, as the agent sees it; raises UserError where it cannot be made."""
    env = _with_wrappers(config, render_mode)
    if config.drop:
        env = without(env, config.drop, config.id)
    require_arrays(env.observation_space, config.id)
    if config.observation_indices is not None:
        indices = list(config.observation_indices)
        space = selected_space(env.observation_space, config)
        env = TransformObservation(env, lambda obs: obs[indices], space)
    if config.frame_stack > 1:
        env = FrameStackObservation(env, config.frame_stack, padding_type="reset")
    return env


def bare_space(config: EnvConfig) -> gym.Space[Any]:
    """What the environment observes in its wrappers, before parts are dropped, selected and stacked."""
    with closing(_with_wrappers(config, None)) as env:
        return env.observation_space


def _with_wrappers(config: EnvConfig, render_mode: str | None) -> gym.Env[Any, Any]:
    """In its wrappers and its time limit."""
    takes = f"a backend that steps single environments, such as 'auto': EnvPool's {config.id} is none"
    require(config.backend != "envpool", "env.backend", config.backend, takes)
    spec, limit = config.spec, config.time_limit
    kwargs = {**arguments_for(config.wrappers, spec.entry_point), **config.kwargs}
    if render_mode is not None:
        kwargs["render_mode"] = render_mode
    with user_errors(config):
        show_warnings_once(spec)
        # Gymnasium's own checker is off: envs/vectors/sub_env.py checks what the environment returns, on every step.
        env = gym.make(spec, max_episode_steps=None if limit is None else -1, disable_env_checker=True, **kwargs)
    if limit is None:
        return wrapped(env, config.wrappers, config.id)
    if env.unwrapped.spec is not None:
        env.unwrapped.spec.max_episode_steps = limit  # for wrappers that tell how much time is left
    return TimeLimit(wrapped(env, config.wrappers, config.id), limit)


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
    known = {"gymnasium.envs.box2d": "box2d", "gymnasium.envs.mujoco": "mujoco"}
    known |= {package.module: package.extra for package in PACKAGES}
    for module, extra in known.items():
        if entry_point.startswith(module):
            return f"; install it: {install_command(extra)}"
    return "; install the package that this environment needs"


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0]
