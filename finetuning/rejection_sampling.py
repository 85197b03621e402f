"""Rejection sampling: learn by heart those of one's own completions that were right (STaR, RAFT).

Dong et al. 2023, https://arxiv.org/abs/2304.06767, algorithm 1, in small steps. It takes what GRPO takes and needs no
ratio, no clipping and no advantage: what GRPO has to beat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from finetuning.language import solving
from finetuning.language.completions import Verify
from finetuning.language.log_probs import token_log_probs
from finetuning.language.problems import Problem
from finetuning.language.solving import Measure, SolvingAlgorithm, SolvingRunConfig
from training.core import Batch, Budget, Counters, to_device
from training.metrics import Mean, Metrics
from training.optimizer import Loss, OptimizerConfig
from training.run.run import Run


@dataclass(frozen=True)
class RejectionSamplingConfig:
    """Rejection sampling's numbers."""

    can_compile: ClassVar[bool] = False
    """Every batch has another length."""
    least_reward: float = 1.0
    """Completions of a smaller one are rejected."""
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-4, betas=(0.9, 0.95), max_grad_norm=1.0)


class RejectionSampling(SolvingAlgorithm):
    """Learns from completions [B, L]: makes those likelier that have the reward, each token alike."""

    def __init__(self, model: Any, config: RejectionSamplingConfig, *, until: Budget, measure: Measure) -> None:
        super().__init__(model, config.optimizer, until=until, measure=measure)
        self._config = config

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        accepted = batch["reward"] >= self._config.least_reward
        measured: Metrics = {"learner/accepted_fraction": Mean(float(accepted.float().mean()), len(accepted))}
        if not accepted.any():  # nothing to learn
            return measured, {}
        data = {key: batch[key][accepted] for key in ("tokens", "is_completion")}
        return measured | self._optimizer.step(self._loss, to_device(data, self.model.device), now), {}

    def _loss(self, batch: Batch) -> Loss:
        log_prob, _ = token_log_probs(self.model, batch["tokens"])
        return likelihood_loss(log_prob, batch["is_completion"])


def likelihood_loss(log_prob: Tensor, is_completion: Tensor) -> Loss:
    """The negative log-likelihood of the tokens [B, L] of completions."""
    return Loss(-(log_prob * is_completion).sum(), is_completion.sum(), {})


@dataclass(frozen=True, kw_only=True)
class RejectionSamplingRunConfig(SolvingRunConfig):
    """How rejection sampling learns."""

    algorithm: RejectionSamplingConfig = RejectionSamplingConfig()


def train(
    config: RejectionSamplingRunConfig,
    run: Run,
    model: Any,
    problems: Mapping[str, Sequence[Problem]],
    verify: Verify,
    *,
    source: str,
) -> None:
    """One run, which changes the model."""
    solving.train(config, run, model, problems, verify, RejectionSampling, source=source)
