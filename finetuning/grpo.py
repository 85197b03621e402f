"""Group relative policy optimization of language models by verified rewards (GRPO), and what became of it.

Shao et al. 2024, https://arxiv.org/abs/2402.03300, equation 3: the advantage of a completion is its reward beside those
of the others of its prompt, and no critic is needed. The choices, by the names that they have:

- `normalization`: "grpo" weighs every completion alike, so that a token of a long one counts for less; "dapo" weighs
  every token alike (Yu et al. 2025, https://arxiv.org/abs/2503.14476, equation 8); "dr_grpo" divides by a constant
  (Liu et al. 2025, https://arxiv.org/abs/2503.20783, section 3.2), which no length biases.
- `baseline`: the group's mean, or that of the others (RLOO, Ahmadian et al. 2024, https://arxiv.org/abs/2402.14740).
- `ratio`: of each token, or of the whole completion (GSPO, Zheng et al. 2025, https://arxiv.org/abs/2507.18071,
  equation 7).
- `clip_high` above `clip_low`: DAPO's "clip-higher"; refilling groups without signal is the stream's.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from finetuning.language import solving
from finetuning.language.completions import Verify
from finetuning.language.log_probs import reference_log_probs, token_log_probs
from finetuning.language.problems import Problem
from finetuning.language.solving import Measure, SolvingAlgorithm, SolvingRunConfig
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Mean, Metrics
from training.optimizer import Loss, OptimizerConfig
from training.run.run import Run


@dataclass(frozen=True)
class GRPOConfig:
    """GRPO's numbers. The ranges of the ratio are DAPO's; no penalty holds the policy to where it began, as there."""

    can_compile: ClassVar[bool] = False
    """Every batch has another length."""
    normalization: Literal["grpo", "dapo", "dr_grpo"] = "dr_grpo"
    baseline: Literal["mean", "leave_one_out"] = "mean"
    divide_by_deviation: bool = False
    """Divide the advantages of a group by their deviation, as GRPO has it: easy and hard prompts weigh more."""
    ratio: Literal["token", "sequence"] = "token"
    clip_low: float = 0.2
    clip_high: float = 0.28
    kl_coefficient: float = 0.0
    """Of the divergence from the model that it began with, by GRPO's equation 4; 0: that model is not kept."""
    entropy_coefficient: float = 0.0
    """Of the mean entropy of a token."""
    learn_truncated: bool = True
    """Learn from completions that were cut, too, whose reward is 0; False: DAPO's overlong filtering."""
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-4, betas=(0.9, 0.95), max_grad_norm=1.0)

    def __post_init__(self) -> None:
        require(0.0 < self.clip_low < 1.0, "clip_low", self.clip_low, "a number between 0 and 1")
        require(self.clip_high > 0.0, "clip_high", self.clip_high, "a number above 0")
        for name in ("kl_coefficient", "entropy_coefficient"):
            require(getattr(self, name) >= 0.0, name, getattr(self, name), "a number of at least 0")
        by_token = self.ratio == "token" or self.normalization == "grpo"
        takes = "'grpo' with ratio = 'sequence', which is one number for all tokens of a completion"
        require(by_token, "normalization", self.normalization, takes)


class GRPO(SolvingAlgorithm):
    """Learns from groups of completions [B, L]: makes those likelier that were better than others of their prompt."""

    def __init__(
        self, model: Any, config: GRPOConfig, *, reference: Any, max_tokens: int, until: Budget, measure: Measure
    ) -> None:
        super().__init__(model, config.optimizer, until=until, measure=measure)
        self._reference = None if reference is None else reference.to(model.device)
        self._config, self._max_tokens = config, max_tokens

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        config = self._config
        batch = to_device(batch, self.model.device)
        mask = batch["is_completion"] & (config.learn_truncated | ~batch["truncated"]).unsqueeze(1)
        data = {
            "tokens": batch["tokens"],
            "log_prob": batch["log_prob"],
            "mask": mask.float(),
            "weight": token_weights(mask, config.normalization, self._max_tokens),
            "even": token_weights(mask, "dapo", self._max_tokens),
            "advantage": group_advantages(batch["reward"], batch["group"], config),
        }
        if config.kl_coefficient:
            data["reference"] = reference_log_probs(self._reference, batch["tokens"])
        return self._optimizer.step(self._loss, data, now), {}

    def _loss(self, batch: Batch) -> Loss:
        log_prob, entropy = token_log_probs(self.model, batch["tokens"])
        return grpo_loss(log_prob, entropy, batch, self._config)


def group_advantages(reward: Tensor, group: Tensor, config: GRPOConfig) -> Tensor:
    """How much better [B] a completion is than its group, by the rewards and the groups' numbers [B]."""
    same = (group.unsqueeze(0) == group.unsqueeze(1)).to(reward.dtype)
    count = same.sum(1)
    advantage = reward - same @ reward / count
    if config.baseline == "leave_one_out":  # r - (sum - r) / (n - 1)
        advantage = advantage * count / (count - 1).clamp(min=1)
    if config.divide_by_deviation:
        mean = same @ reward / count
        variance = (same * (reward.unsqueeze(0) - mean.unsqueeze(1)).square()).sum(1) / (count - 1).clamp(min=1)
        advantage = advantage / (variance.sqrt() + 1e-4)
    return advantage


def token_weights(mask: Tensor, normalization: str, max_tokens: int) -> Tensor:
    """What each token [B, L] of the mask weighs, so that sum(weight * loss) / B is the objective.

    They are of the whole batch, so that its parts may be computed apart and added.
    """
    rows, lengths = mask.shape[0], mask.sum(1, keepdim=True).clamp(min=1)
    per_token = {
        "grpo": 1.0 / lengths,
        "dapo": rows / mask.sum().clamp(min=1).expand_as(lengths),
        "dr_grpo": torch.full(lengths.shape, 1.0 / max_tokens, device=mask.device),
    }
    return mask * per_token[normalization]


def grpo_loss(log_prob: Tensor, entropy: Tensor, batch: Batch, config: GRPOConfig) -> Loss:
    """The negative clipped objective, with its penalty and its bonus.

    Args:
        log_prob: of the tokens now [B, L].
        entropy: of what they were drawn from [B, L].
        batch: `log_prob` when they were drawn, `mask`, `weight` and `even` [B, L], `advantage` [B], `reference` [B, L]
            where there is a penalty.
        config: which of the forms.
    """
    mask, even = batch["mask"], batch["even"]
    log_ratio = (log_prob - batch["log_prob"]) * mask
    if config.ratio == "sequence":
        log_ratio = log_ratio.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
    ratio, advantage = log_ratio.exp(), batch["advantage"].unsqueeze(1)
    clipped = ratio.clamp(1 - config.clip_low, 1 + config.clip_high)
    loss = -torch.min(ratio * advantage, clipped * advantage)
    rows = len(mask)
    metrics: Metrics = {
        "policy/entropy_nats": Mean((entropy * even).sum().detach() / rows, rows),
        "policy/clipped_fraction": Mean(((ratio != clipped) * even).sum().detach() / rows, rows),
        "policy/kl_nats": Mean((((-log_ratio).exp() - 1 + log_ratio) * even).sum().detach() / rows, rows),
    }
    if config.kl_coefficient:
        apart = (batch["reference"] - log_prob) * mask
        penalty = apart.exp() - apart - 1
        loss = loss + config.kl_coefficient * penalty
        metrics["policy/reference_kl_nats"] = Mean((penalty * even).sum().detach() / rows, rows)
    total = (loss * batch["weight"]).sum() - config.entropy_coefficient * (entropy * even).sum()
    return Loss(total, rows, metrics)


@dataclass(frozen=True, kw_only=True)
class GRPORunConfig(SolvingRunConfig):
    """How GRPO learns."""

    algorithm: GRPOConfig = GRPOConfig()


def train(
    config: GRPORunConfig,
    run: Run,
    model: Any,
    problems: Mapping[str, Sequence[Problem]],
    verify: Verify,
    *,
    source: str,
) -> None:
    """One run, which changes the model. Where a penalty is asked for, a copy of the model is kept as it began."""
    reference = copy.deepcopy(model).requires_grad_(requires_grad=False) if config.algorithm.kl_coefficient else None
    make = functools.partial(GRPO, reference=reference, max_tokens=config.completions.max_tokens)
    solving.train(config, run, model, problems, verify, make, source=source)
