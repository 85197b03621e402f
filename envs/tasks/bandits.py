"""Bernoulli bandits: K arms, each of which pays 1 with a probability of its own, otherwise 0.

An episode is one pull. What every arm would pay is drawn at its start, so that whatever the agent pulls, the next
episode draws the same; it is also what lets envs/vectors/batched.py step many at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.vectors.batched import Dynamics, Float

PROBABILITIES = (0.9, 0.8, 0.8, 0.8, 0.7, 0.7, 0.7, 0.6, 0.6, 0.6)
"""Auer, Cesa-Bianchi and Fischer 2002, "Finite-time analysis of the multiarmed bandit problem", distribution 12."""


class BernoulliBandit(gym.Env[int, int]):
    """There is nothing to see; arm k pays 1 with the probability `probabilities[k]`. Every episode is one step."""

    def __init__(self, probabilities: Sequence[float] = PROBABILITIES) -> None:
        if len(probabilities) < 1 or not all(0 <= p <= 1 for p in probabilities):
            raise ValueError(f"probabilities = {probabilities!r}: it takes at least one number from 0 to 1")
        self.probabilities = np.array(probabilities, np.float64)
        self.observation_space = spaces.Discrete(1)
        self.action_space = spaces.Discrete(len(probabilities))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self._drawn = self.np_random.random(len(self.probabilities))
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        return 0, float(self._drawn[action] < self.probabilities[action]), True, False, {}


def _transition(state: Float, action: NDArray[Any]) -> tuple[Float, Float, NDArray[np.bool_]]:
    """One pull; the state [K, N] is what was drawn for each arm."""
    envs = np.arange(state.shape[1])
    paid = state[action, envs] < np.array(PROBABILITIES)[action]
    return state, paid.astype(np.float64), np.ones(len(envs), np.bool_)


BERNOULLI_BANDIT = Dynamics(
    observation_space=spaces.Discrete(1),
    action_space=spaces.Discrete(len(PROBABILITIES)),
    initial_state=lambda generator: generator.random(len(PROBABILITIES)),
    transition=_transition,
    observe=lambda state: np.zeros(state.shape[1], np.int64),
)
