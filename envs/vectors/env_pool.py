"""EnvPool (Weng et al. 2022, https://arxiv.org/abs/2206.10558): environments in C++ on a pool of threads; needs the
extra `envpool`.

An episode that ends in a terminal state on the last step that its time limit allows is reported as truncated only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector.utils import batch_space

from envs.config import EnvConfig
from envs.single import user_errors
from training.errors import UserError, require
from training.extras import extra
from training.names import nearest_hint

OURS = frozenset({"num_envs", "seed", "env_seed", "batch_size", "task_id", "config"})
"""Of the arguments of a pool: those that are not the user's."""


def make_pool(config: EnvConfig, num_envs: int, kwargs: Mapping[str, Any]) -> Pool:
    """N copies of one of EnvPool's environments, made with `kwargs`, as a NEXT_STEP vector env.

    Raises UserError where the extra is missing, for an id that EnvPool does not have, and for arguments that it does
    not take.
    """
    taken = sorted(OURS & kwargs.keys())
    require(not taken, "env.kwargs", config.kwargs, f"none of {', '.join(taken)}, which the run decides")
    with extra("envpool"):
        import envpool
    known = envpool.list_all_envs()
    if config.id not in known:
        hint = nearest_hint(config.id, known)
        raise UserError(f"env.id = {config.id!r}: EnvPool has no environment of this name{hint}")
    with user_errors(config):
        return Pool(config.id, partial(envpool.make_gymnasium, config.id, num_envs=num_envs, **kwargs))


class Pool(gym.vector.VectorEnv[Any, Any, Any]):
    """A pool of EnvPool's whose `reset` takes a seed: by itself a pool keeps the seed with which it was made."""

    def __init__(self, env_id: str, make: Callable[..., Any]) -> None:
        pool = make()
        self.spec = EnvSpec(env_id)
        self.num_envs, self.metadata = pool.num_envs, pool.metadata
        self.single_observation_space, self.single_action_space = pool.observation_space, pool.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._make, self._pool = make, pool

    def reset(self, *, seed: int, options: Any = None) -> Any:  # type: ignore[override]
        self.close_extras()
        self._pool = self._make(seed=seed)
        return self._pool.reset()

    def step(self, actions: Any) -> Any:
        return self._pool.step(actions)

    def close_extras(self, **kwargs: Any) -> None:
        self._pool = None  # its environments and threads end with it: its own `close` frees nothing
