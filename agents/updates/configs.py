"""The hyperparameters that several algorithms share; an algorithm's config inherits those that it has."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal

from training.errors import require


@dataclass(frozen=True, kw_only=True)
class DiscountedConfig:
    """Of every algorithm that learns from discounted returns."""

    gamma: float = 0.99

    def __post_init__(self) -> None:
        require(0 <= self.gamma <= 1, "gamma", self.gamma, "a number from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class RolloutConfig(DiscountedConfig):
    """Of algorithms that learn from rollouts."""

    horizon: int
    """Steps of each environment in one rollout."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.horizon >= 1, "horizon", self.horizon, "at least 1 step")


@dataclass(frozen=True, kw_only=True)
class PassesConfig(RolloutConfig):
    """Of several passes over each rollout."""

    epochs: int = 4
    """Passes over each rollout."""
    minibatch_size: int = 256
    """Samples in one gradient step; must divide horizon * num_envs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.epochs >= 1, "epochs", self.epochs, "at least 1 pass")
        require(self.minibatch_size >= 2, "minibatch_size", self.minibatch_size, "at least 2 samples")


@dataclass(frozen=True, kw_only=True)
class PolicyGradientConfig(RolloutConfig):
    """Of policy gradients on rollouts."""

    entropy_coefficient: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(isfinite(self.entropy_coefficient), "entropy_coefficient", self.entropy_coefficient, "a finite number")


@dataclass(frozen=True, kw_only=True)
class ActorCriticLossConfig(PolicyGradientConfig):
    """Of a loss of actor and critic together."""

    value_coefficient: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        value = self.value_coefficient
        require(0 <= value < inf, "value_coefficient", value, "a number of at least 0")


@dataclass(frozen=True, kw_only=True)
class GAEConfig(ActorCriticLossConfig):
    """Of generalized advantage estimates."""

    gae_lambda: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.gae_lambda <= 1, "gae_lambda", self.gae_lambda, "a number from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class VTraceConfig(ActorCriticLossConfig):
    """Of policies that act some updates behind the one that learns, and of V-trace, which corrects for it."""

    max_policy_lag: int = 2
    """How many updates older than the newest policy one that acts on a Ray worker may be; 0: everybody waits."""
    clip_rho: float = 1.0
    """The largest weight of a step's own error: which policy's values are learned."""
    clip_c: float = 1.0
    """The largest weight with which later errors reach a step: how fast."""
    trace_lambda: float = 1.0
    """Less reaches a step less far (Espeholt et al. 2018, remark 2). On-policy the values are learned from GAE's lambda
    returns; the advantage has one factor of lambda less than GAE's, so that the same number is another trade-off."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.max_policy_lag >= 0, "max_policy_lag", self.max_policy_lag, "at least 0 updates")
        require(0 < self.clip_c < inf, "clip_c", self.clip_c, "a number above 0")
        takes = f"a number of at least clip_c = {self.clip_c}"
        require(self.clip_c <= self.clip_rho < inf, "clip_rho", self.clip_rho, takes)
        require(0 <= self.trace_lambda <= 1, "trace_lambda", self.trace_lambda, "a number from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class ClippedConfig(ActorCriticLossConfig, PassesConfig):
    """Of PPO's clipped surrogate, and of several passes over each rollout, which it allows."""

    clip_range: float
    clip_range_above: float | None = None
    """The range above 1, where it is another than below, as in DAPO (Yu et al. 2025, https://arxiv.org/abs/2503.14476,
    "Clip-Higher"); None: the same. The schedule is of both."""
    objective: Literal["clipped", "spo"] = "clipped"
    """spo: a penalty for leaving the range in place of the clip (simple policy optimization, Xie et al. 2024,
    https://arxiv.org/abs/2401.16025)."""
    normalize_advantage: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.clip_range > 0, "clip_range", self.clip_range, "a positive number")
        above = self.clip_range_above
        require(above is None or above > 0, "clip_range_above", above, "a positive number or None")
        alone = above is None or self.objective == "clipped"
        require(alone, "clip_range_above", above, "None: objective = 'spo' has one range")

    @property
    def above_to_below(self) -> float:
        """The range above 1 as a multiple of that below."""
        return 1.0 if self.clip_range_above is None else self.clip_range_above / self.clip_range
