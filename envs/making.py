"""From a config to vector environments."""

from __future__ import annotations

from envs.batched import BatchedVectorEnv, Dynamics
from envs.buffers import Buffers, Layout
from envs.cartpole import CARTPOLE
from envs.config import EnvConfig, find_spec
from envs.lane import Lanes
from envs.single import make_env
from envs.singles import SinglesVectorEnv
from envs.vector import VectorEnv
from envs.workers import Workers
from training.core import require

BATCHED = {"CartPole-v0": CARTPOLE, "CartPole-v1": CARTPOLE}

__all__ = ["make_env", "make_vec"]


def make_vec(config: EnvConfig, num_envs: int, *, seed: int, first_env: int = 0) -> VectorEnv:
    """N copies of an environment, of which copy i has the index first_env + i in the run.

    The data depend on seed, index, episode and actions only: not on the backend, nor on how the environments of a run
    are split over vectors and processes. Raises UserError where the environment cannot be made.
    """
    require(num_envs >= 1, "num_envs", num_envs, "at least 1")
    require(seed >= 0, "seed", seed, "at least 0")
    batched = find_batched(config)
    if batched is not None:
        dynamics, time_limit = batched
        return BatchedVectorEnv(dynamics, num_envs, time_limit=time_limit, seed=seed, first_env=first_env)
    layout = _layout(config, num_envs)
    if config.backend == "subprocess":
        workers = Workers(config, layout, seed=seed, first_env=first_env)
        return SinglesVectorEnv(config.id, workers.buffers, workers)
    buffers = Buffers(layout)
    lanes = Lanes(config, buffers, range(num_envs), seed=seed, first_env=first_env)
    return SinglesVectorEnv(config.id, buffers, lanes)


def find_batched(config: EnvConfig) -> tuple[Dynamics, int] | None:
    """The batched environment of a config and its time limit; None where single ones are stepped.

    Raises UserError where the config asks for a batched one that does not exist.
    """
    if config.backend not in ("auto", "batched"):
        return None
    spec = find_spec(config.id)
    dynamics = BATCHED.get(spec.id)
    plain = not config.kwargs and config.frame_stack == 1 and not config.fresh_instance
    if dynamics is not None and plain:
        time_limit = config.time_limit or spec.max_episode_steps
        assert time_limit is not None
        return dynamics, time_limit
    takes = f"one of {', '.join(BATCHED)}, without kwargs, frame_stack or fresh_instance"
    require(config.backend == "auto", "env.backend", config.backend, f"{takes}; {config.id} runs in-process")
    return None


def _layout(config: EnvConfig, num_envs: int) -> Layout:
    env = make_env(config)
    try:
        return Layout(env.observation_space, env.action_space, num_envs)
    finally:
        env.close()  # type: ignore[no-untyped-call]
