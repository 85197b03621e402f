"""Rewards divided by the running standard deviation of the discounted return.

Source: Stable-Baselines3's VecNormalize (OpenAI baselines): the return is a discounted sum over the past of an episode,
R_t = gamma R_{t-1} + r_t, and only its variance is used, so that the sign of rewards stays. Here the statistics of a
whole rollout are added at once, before that rollout is scaled, so that all its rewards have one scale.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.networks import Normalizer
from training.state import State

CLIP = 10.0
"""The largest magnitude of a scaled reward."""


class RewardScale:
    """The scale of the rewards of N environments. A part of a run: save it with its policy."""

    def __init__(self, num_envs: int, *, gamma: float) -> None:
        self._gamma = gamma
        self._moments = Normalizer()  # of the discounted returns
        self._returns = torch.zeros(num_envs, dtype=torch.float64)

    @property
    def std(self) -> float:
        """What rewards are divided by."""
        return float((self._moments.variance + 1e-8).sqrt())

    def __call__(self, reward: Tensor, is_first: Tensor, valid: Tensor | None = None) -> Tensor:
        """Learns from a rollout and scales it.

        reward [T, N], is_first [T, N] (the return begins again: also where an environment was lost on the way), valid
        [T, N] (False rows are not learned from; None: all are) -> scaled rewards [T, N] in [-10, 10].
        """
        returns = torch.empty(reward.shape, dtype=torch.float64)
        for t, (gained, begins) in enumerate(zip(reward, is_first, strict=True)):
            returns[t] = self._returns = self._returns.masked_fill(begins, 0.0) * self._gamma + gained
        self._moments.update(returns if valid is None else returns[valid])
        return (reward / self.std).clamp(-CLIP, CLIP)

    def state_dict(self) -> State:
        return {"moments": self._moments.state_dict(), "returns": self._returns}

    def load_state_dict(self, state: State) -> None:
        self._moments.load_state_dict(state["moments"])
        self._returns = state["returns"].clone()
