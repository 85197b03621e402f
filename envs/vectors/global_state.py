"""What all agents of a match see, for a critic: beside what an agent sees itself, under the name `global`.

A policy that has it among its `critic_only` parts learns with it and acts without (Yu et al. 2022, "The surprising
effectiveness of PPO in cooperative multi-agent games", https://arxiv.org/abs/2103.01955).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.vectors.vector import Arrays, Step, VectorEnv
from training.errors import UserError
from training.state import State

OWN, GLOBAL = "agent", "global"
"""The parts of an observation."""


class GlobalStates(VectorEnv):
    """The agents of `vec`, of which each sees a vector, with the vectors of all agents of its match and its own index.

    Of K agents that see D numbers, `global` has K * D + K. An agent whose part is over is zeros there.
    Raises UserError where agents do not see a vector of numbers.
    """

    def __init__(self, vec: VectorEnv, env_id: str) -> None:
        self._vec, self.num_agents, self.num_envs = vec, vec.num_agents, vec.num_envs
        own, self.action_space = vec.observation_space, vec.action_space
        if not isinstance(own, spaces.Box) or len(own.shape) != 1:
            raise UserError(f"env.global_state = True: it takes agents that see a vector; those of {env_id} see {own}")
        low, high = (np.full(self.num_agents * own.shape[0], bound, np.float32) for bound in (-np.inf, np.inf))
        index = np.ones(self.num_agents, np.float32)
        whole = spaces.Box(np.concatenate([low, 0 * index]), np.concatenate([high, index]), dtype=np.float32)
        self.observation_space = spaces.Dict({OWN: own, GLOBAL: whole})
        self._index = np.tile(np.eye(self.num_agents, dtype=np.float32), (self.num_envs // self.num_agents, 1))
        self._plays = np.ones(self.num_envs, np.bool_)

    @property
    def inexact(self) -> list[str]:  # type: ignore[override]
        return self._vec.inexact

    @property
    def episode_steps(self) -> NDArray[np.int64]:
        return self._vec.episode_steps

    def reset(self) -> Step:
        self._plays[:] = True
        return self._with_global(self._vec.reset())

    def current(self) -> Step:
        return self._with_global(self._vec.current())

    def send(self, action: Arrays) -> None:
        self._vec.send(action)

    def receive(self) -> Step:
        step = self._vec.receive()
        acted = np.ones(self.num_envs, np.bool_) if step.valid is None else step.valid
        over = step.terminated | step.truncated
        self._plays = (acted & ~over) | (self._vec.episode_steps == 0)
        return self._with_global(step, acted)

    def state_dict(self) -> State:
        return {"agents": self._vec.state_dict(), "plays": self._plays.copy()}

    def load_state_dict(self, state: State) -> None:
        self._vec.load_state_dict(state["agents"])
        self._plays = state["plays"].copy()

    def close(self) -> None:
        self._vec.close()

    def _with_global(self, step: Step, acted: NDArray[np.bool_] | None = None) -> Step:
        own = step.obs["obs"]
        final = self._parts(step.final_obs["obs"], self._global(own[:0], self._plays[:0]), slice(0, 0))
        (rows,) = (step.terminated | step.truncated).nonzero()
        if len(rows) and acted is not None:
            last = own.copy()
            last[rows] = step.final_obs["obs"]
            final = self._parts(step.final_obs["obs"], self._global(last, acted), rows)
        return step._replace(obs=self._parts(own, self._global(own, self._plays), slice(None)), final_obs=final)

    def _global(self, own: NDArray[Any], there: NDArray[np.bool_]) -> NDArray[np.float32]:
        """What the agents that are there see, side by side: [M, K * D]."""
        return np.where(there[:, None], own, 0).astype(np.float32).reshape(-1, self.num_agents * own.shape[1])

    def _parts(self, own: NDArray[Any], of_matches: NDArray[np.float32], rows: Any) -> Arrays:
        whole = of_matches.repeat(self.num_agents, axis=0)[rows]
        return {f"obs/{OWN}": own, f"obs/{GLOBAL}": np.concatenate([whole, self._index[rows]], axis=1)}
