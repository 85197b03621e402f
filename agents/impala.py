"""IMPALA: actors that never wait for the learner, and V-trace (Espeholt et al. 2018, https://arxiv.org/abs/1802.01561).

Workers act with policies that may be some updates old (see `agents/acting/ray_collector.py`); V-trace corrects for
what they did otherwise than the newest one. Without workers, or with a lag of 0, there is nothing to correct, and this
is A2C with n-step returns. The defaults are the paper's for single Atari games (appendix G, table G.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

from agents.a2c import a2c_loss
from agents.acting.rollouts import explained_variance, to_samples, with_vtrace
from agents.policies.actor_critic import ActorCritic
from agents.updates.parts import Parts, load_parts, save_parts
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.state import State


@dataclass(frozen=True)
class IMPALAConfig:
    """IMPALA's numbers."""

    horizon: int = 20
    """Steps of each environment in one rollout."""
    max_policy_lag: int = 2
    """How many updates older than the newest policy one that acts on a Ray worker may be; 0: everybody waits."""
    gamma: float = 0.99
    clip_rho: float = 1.0
    """The largest weight of a step's own error: which policy's values are learned."""
    clip_c: float = 1.0
    """The largest weight with which later errors reach a step: how fast."""
    trace_lambda: float = 1.0
    """Less reaches a step less far (remark 2)."""
    value_coefficient: float = 0.5
    entropy_coefficient: float = 0.01
    optimizer: OptimizerConfig = OptimizerConfig(
        kind="rmsprop", learning_rate=6e-4, schedule=Schedule("linear"), eps=0.01, max_grad_norm=40.0
    )

    def __post_init__(self) -> None:
        require_vtrace(self.max_policy_lag, self.clip_rho, self.clip_c, self.trace_lambda)
        require(self.horizon >= 1, "horizon", self.horizon, "at least 1 step")
        require(0 <= self.gamma <= 1, "gamma", self.gamma, "a number from 0 to 1")
        require(
            0 <= self.value_coefficient < inf, "value_coefficient", self.value_coefficient, "a number of at least 0"
        )
        require(isfinite(self.entropy_coefficient), "entropy_coefficient", self.entropy_coefficient, "a finite number")


class IMPALA:
    """Learns from rollouts [T, N]: one policy-gradient step on each."""

    def __init__(self, policy: ActorCritic, config: IMPALAConfig, *, until: Budget, seed: int) -> None:
        self.policy = policy
        self._config = config
        self._optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until)
        self._parts: Parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        config = self._config
        batch = to_device(batch, self.policy.device)
        targets = with_vtrace(
            self.policy,
            batch,
            gamma=config.gamma,
            clip_rho=config.clip_rho,
            clip_c=config.clip_c,
            trace_lambda=config.trace_lambda,
        )
        # The policy gradient of section 4.2: rho * grad log pi * (r + gamma * vs' - v).
        targets["advantage"] = targets["advantage"] * targets["ratio"].clamp(max=config.clip_rho)
        data = to_samples(batch, targets)
        value, ratio = data.pop("value"), data.pop("ratio")  # only measured
        metrics = self._optimizer.step(self._loss, data, now)
        self.policy.update_normalizers(data)
        metrics["value/explained_variance"] = Mean(explained_variance(value, data["return"]))
        metrics["policy/clipped_fraction"] = Mean((ratio > config.clip_rho).float().mean())
        return metrics, {}

    def _loss(self, batch: Batch) -> Loss:
        return a2c_loss(self.policy, self._config, batch)

    def state_dict(self) -> State:
        return save_parts(self.policy, self._parts)

    def load_state_dict(self, state: State) -> None:
        load_parts(self.policy, self._parts, state)


def require_vtrace(max_policy_lag: int, clip_rho: float, clip_c: float, trace_lambda: float) -> None:
    """Checks what every algorithm with V-trace has in its config."""
    require(max_policy_lag >= 0, "max_policy_lag", max_policy_lag, "at least 0 updates")
    require(0 < clip_c < inf, "clip_c", clip_c, "a number above 0")
    require(clip_c <= clip_rho < inf, "clip_rho", clip_rho, f"a number of at least clip_c = {clip_c}")
    require(0 <= trace_lambda <= 1, "trace_lambda", trace_lambda, "a number from 0 to 1")
