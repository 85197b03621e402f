"""Makes vector environments from a config: it chooses how the copies are stepped."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import gymnasium as gym

from envs.config import EnvConfig
from envs.jitted import dynamics_of, has_numba, jitted_class
from envs.multi_agent import MatchSpace
from envs.single import make_env, selected_space, user_errors
from envs.tasks.acrobot import ACROBOT
from envs.tasks.bandits import BERNOULLI_BANDIT
from envs.tasks.board_games import BOARDS, game
from envs.tasks.cartpole import CARTPOLE
from envs.tasks.mountain_car import MOUNTAIN_CAR
from envs.tasks.mountain_car_continuous import MOUNTAIN_CAR_CONTINUOUS
from envs.tasks.pendulum import PENDULUM
from envs.tasks.simple_spread import SIMPLE_SPREAD
from envs.vectors.agent_rows import AgentRows
from envs.vectors.batched import BatchedVectorEnv, Dynamics
from envs.vectors.buffers import Buffers, Layout
from envs.vectors.env_pool import make_pool
from envs.vectors.global_state import GlobalStates
from envs.vectors.next_step import NextStepVectorEnv
from envs.vectors.sub_env import SubEnvs
from envs.vectors.sub_env_vector import SubEnvVectorEnv
from envs.vectors.vector import VectorEnv
from envs.vectors.workers import Workers
from training.errors import require

NEVER = 2**62
"""The time limit of an environment without one."""
Spaces = tuple[gym.Space[Any], gym.Space[Any]]
BATCHED = {
    "Acrobot-v1": ACROBOT,
    "BernoulliBandit-v0": BERNOULLI_BANDIT,
    "CartPole-v0": CARTPOLE,
    "CartPole-v1": CARTPOLE,
    "MountainCar-v0": MOUNTAIN_CAR,
    "MountainCarContinuous-v0": MOUNTAIN_CAR_CONTINUOUS,
    "Pendulum-v1": PENDULUM,
    "mpe2.simple_spread_v3:parallel_env": SIMPLE_SPREAD,
}
_NUM_AGENTS: dict[tuple[str, str], int] = {}
"""By what makes a match, what has been found."""


def make_vec(
    config: EnvConfig, num_envs: int, *, seed: int, first_env: int = 0, spaces: Spaces | None = None
) -> VectorEnv:
    """N copies of an environment, of which copy i has the index first_env + i in the run. Of matches of several agents
    each agent is a row (`VectorEnv.num_agents`).

    The data depend on seed, index, episode and actions only: not on the backend, nor on how the environments of a run
    are split over vectors and processes; the backends vector-entry-point and envpool are the exceptions to both
    (envs/vectors/next_step.py). Who gives its `spaces` spares it the making of one more.
    Raises UserError where the environment cannot be made.
    """
    require(num_envs >= 1, "num_envs", num_envs, "at least 1")
    require(seed >= 0, "seed", seed, "at least 0")
    if config.of_agents:
        vec = _make_matches(config, num_envs, seed=seed, first_env=first_env, spaces=spaces)
        return GlobalStates(vec, config.id) if config.global_state else vec
    return _make_copies(config, num_envs, seed=seed, first_env=first_env, spaces=spaces)


def _make_matches(config: EnvConfig, num_envs: int, *, spaces: Spaces | None, **numbers: int) -> VectorEnv:
    beyond = _asked_beyond(config, "kwargs", "time_limit", "global_state")
    takes = f"a match of several agents without {' and '.join(beyond)}"
    require(not beyond, "env.id", config.id, takes)
    if find_batched(config) is not None:
        return _make_copies(config, num_envs, spaces=None, **numbers)
    joined = spaces or spaces_of(config)
    assert isinstance(joined[0], MatchSpace)
    return AgentRows(_make_copies(config, num_envs, spaces=joined, **numbers), joined[0])


def _make_copies(config: EnvConfig, num_envs: int, *, seed: int, first_env: int, spaces: Spaces | None) -> VectorEnv:
    """Where there are several agents, a match is one copy."""
    if config.has_reset_transitions:
        return NextStepVectorEnv(_make_native(config, num_envs), seed=seed, first_env=first_env)
    batched = find_batched(config)
    if batched is not None:
        dynamics, time_limit = batched
        return BatchedVectorEnv(dynamics, num_envs, time_limit=time_limit, seed=seed, first_env=first_env)
    layout = Layout(*(spaces or spaces_of(config)), num_envs)
    if config.backend == "subprocess":
        workers = Workers(config, layout, seed=seed, first_env=first_env)
        return SubEnvVectorEnv(config.id, workers.buffers, workers)
    buffers = Buffers(layout)
    sub_envs = SubEnvs(config, buffers, range(num_envs), seed=seed, first_env=first_env)
    return SubEnvVectorEnv(config.id, buffers, sub_envs)


def find_batched(config: EnvConfig) -> tuple[Dynamics, int] | None:
    """The batched environment of a config and its time limit; None where sub-environments are stepped.

    Raises UserError where the config asks for a batched one that does not exist.
    """
    if config.backend not in ("auto", "batched"):
        return None
    if config.of_turns:
        beyond = _asked_beyond(config, "kwargs", "time_limit")
        require(not beyond, "env.id", config.id, f"a game of two players without {' and '.join(beyond)}")
        with user_errors(config):
            rules = game(BOARDS[config.id], **config.kwargs)
        return rules, min(config.time_limit or NEVER, rules.max_episode_steps or NEVER)
    spec, beyond = config.spec, _asked_beyond(config, "time_limit", "observation_indices", "global_state")
    dynamics = BATCHED.get(spec.id)
    if dynamics is None and not beyond and has_numba():
        jitted: Any = jitted_class(spec)
        dynamics = None if jitted is None else dynamics_of(jitted)
    if dynamics is not None and not beyond:
        own = dynamics.max_episode_steps or NEVER  # which a longer limit of the config does not change
        return _selected(dynamics, config), min(config.time_limit or spec.max_episode_steps or NEVER, own)
    takes = f"one of {', '.join(BATCHED)} or a JittedEnv with Numba, with time_limit and observation_indices alone"
    require(config.backend == "auto", "env.backend", config.backend, f"{takes}; {config.id} runs in-process")
    return None


def _asked_beyond(config: EnvConfig, *known: str) -> list[str]:
    """The fields of a config with another value than their default that are not among the known ones.

    What steps copies without `make_env` asks here, so that a wrapper that is added there is never left out silently.
    """
    default = EnvConfig(config.id, backend=config.backend)
    how = ("id", "backend", "step_timeout_s", *known)
    # That an instance need not be fresh is no wish: these have none.
    plain = replace(config, fresh_instance=config.fresh_instance or None)
    names = [field.name for field in fields(EnvConfig) if field.name not in how]
    return [name for name in names if getattr(plain, name) != getattr(default, name)]


def _selected(dynamics: Dynamics, config: EnvConfig) -> Dynamics:
    """The same environment, of which only the config's `observation_indices` are seen."""
    if config.observation_indices is None:
        return dynamics
    indices, observe = list(config.observation_indices), dynamics.observe
    space = selected_space(dynamics.observation_space, config)
    seen = lambda state: observe(state).take(indices, axis=1)  # noqa: E731
    return replace(dynamics, observation_space=space, observe=seen, compiled=lambda: None)


def spaces_of(config: EnvConfig) -> Spaces:
    """The observation and the action space of the environment, which is made for that."""
    env = make_env(config)
    try:
        return env.observation_space, env.action_space
    finally:
        env.close()  # type: ignore[no-untyped-call]


def num_agents_of(config: EnvConfig) -> int:
    """How many rows a match has; 1 where there is one agent, as in most environments. It may have to be made for that;
    raises UserError where it cannot be."""
    if not config.of_agents:
        return 1
    if (batched := find_batched(config)) is not None:
        return batched[0].num_agents
    known = config.id, repr(config.kwargs)
    if known not in _NUM_AGENTS:
        joined, _ = spaces_of(config)
        assert isinstance(joined, MatchSpace)
        _NUM_AGENTS[known] = joined.num_agents
    return _NUM_AGENTS[known]


def _make_native(config: EnvConfig, num_envs: int) -> gym.vector.VectorEnv[Any, Any, Any]:
    """The vector class with which the environment is registered, or EnvPool's."""
    beyond = _asked_beyond(config, "kwargs", "time_limit")
    takes = f"an environment without {' and '.join(beyond)}"
    require(not beyond, "env.backend", config.backend, takes)
    kwargs = config.kwargs if config.time_limit is None else {**config.kwargs, "max_episode_steps": config.time_limit}
    if config.backend == "envpool":
        return make_pool(config, num_envs, kwargs)
    spec = config.spec
    registered = spec.vector_entry_point is not None
    takes = f"an environment registered with a vector_entry_point; {config.id} has none"
    require(registered, "env.backend", config.backend, takes)
    with user_errors(config):
        return gym.make_vec(spec, num_envs, vectorization_mode="vector_entry_point", **kwargs)
