"""Rewards divided by the running standard deviation of the discounted return.

Source: Stable-Baselines3's VecNormalize (OpenAI baselines): the return is a discounted sum over the past of an episode,
R_t = gamma R_{t-1} + r_t, and only its variance is used, so that the sign of rewards stays. Here the statistics of a
whole rollout are added at once, before that rollout is scaled, so that all its rewards have one scale.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.core import State, require

COUNT_EPSILON = 1e-4
"""How many samples the initial mean of 0 and variance of 1 are worth."""
VARIANCE_EPSILON = 1e-8
CLIP = 10.0
"""The largest magnitude of a scaled reward."""


class RewardScale:
    """The scale of the rewards of N environments; deterministic. A part of a run: save it with its policy."""

    def __init__(self, num_envs: int, *, gamma: float) -> None:
        require(0.0 <= gamma <= 1.0, "gamma", gamma, "a number in [0, 1]")
        self.gamma = gamma
        self.mean, self.variance, self.count = 0.0, 1.0, COUNT_EPSILON
        self._returns = np.zeros(num_envs)

    def __call__(
        self, reward: NDArray[np.float64], done: NDArray[np.bool_], valid: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Learns from a rollout and scales it.

        reward [T, N], done [T, N] (terminated or truncated), valid [T, N] (False rows are not learned from; None: all
        are) -> scaled rewards [T, N] in [-10, 10].
        """
        returns = np.empty(reward.shape)
        for t in range(len(reward)):
            self._returns = self._returns * self.gamma + reward[t]
            returns[t] = self._returns
            self._returns[done[t]] = 0.0
        self._add(returns.ravel() if valid is None else returns[valid])
        scaled: NDArray[np.float64] = np.clip(reward / np.sqrt(self.variance + VARIANCE_EPSILON), -CLIP, CLIP)
        return scaled

    def state_dict(self) -> State:
        moments = {"mean": self.mean, "variance": self.variance, "count": self.count}
        return {**moments, "returns": self._returns.copy()}

    def load_state_dict(self, state: State) -> None:
        saved = len(state["returns"])
        require(saved == len(self._returns), "num_envs", len(self._returns), f"{saved}, as in the saved state")
        self.mean, self.variance, self.count = state["mean"], state["variance"], state["count"]
        self._returns = state["returns"].copy()

    def _add(self, samples: NDArray[np.float64]) -> None:
        """Chan, Golub and LeVeque (1979), eq. 2.1: the moments of two sets from those of each."""
        if not len(samples):
            return
        count = self.count + len(samples)
        delta = float(samples.mean()) - self.mean
        squares = self.variance * self.count + float(samples.var()) * len(samples)
        squares += delta**2 * self.count * len(samples) / count
        self.mean += delta * len(samples) / count
        self.variance, self.count = squares / count, count
