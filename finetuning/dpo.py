"""Direct preference optimization (Rafailov et al. 2023, https://arxiv.org/abs/2305.18290): a language model from pairs.

The loss is equation 7, or that of IPO (Azar et al. 2023, https://arxiv.org/abs/2310.12036, equation 17), which ends
where the preference is as large as it should be; its log-ratios are means over the tokens, as TRL has them. What the
reference says is a part of the data, so that none is held while learning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from finetuning.language.dialogue import PLAIN, TemplateConfig
from finetuning.language.log_probs import sequence_log_probs
from finetuning.language.preferences import SIDES, both_sides
from pretraining import recipe
from pretraining.model import ModelAndParts
from pretraining.recipe import DataRunConfig, HeldOutConfig
from training.core import Batch, Budget, Counters, Every, to_device
from training.data.splits import Splits
from training.errors import require
from training.metrics import Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run


@dataclass(frozen=True)
class DPOConfig:
    """DPO's numbers."""

    can_compile: ClassVar[bool] = False
    """Nothing would be gained: few updates."""
    loss: Literal["dpo", "ipo"] = "dpo"
    beta: float = 0.1
    """How strongly the reference holds."""
    optimizer: OptimizerConfig = OptimizerConfig(
        "adamw", learning_rate=1e-4, betas=(0.9, 0.95), max_grad_norm=1.0, schedule=Schedule("linear", warmup=0.1)
    )

    def __post_init__(self) -> None:
        require(self.beta > 0.0, "beta", self.beta, "a number above 0")


class DPO(ModelAndParts):
    """Learns from pairs of completions [B, L] to prefer what is preferred, beside the reference."""

    score = "preference_accuracy"

    def __init__(self, model: Any, config: DPOConfig, *, until: Budget) -> None:
        self.model, self._config = model, config
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until)
        self.parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        return self._optimizer.step(self._loss, to_device(batch, self.model.device), now), {}

    def _loss(self, batch: Batch) -> Loss:
        return preference_loss(*self._log_ratios(batch), self._config)

    def _log_ratios(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of the chosen and the rejected completions [B]; of IPO by token."""
        tokens, mask = both_sides(batch)
        said = sequence_log_probs(self.model, tokens, mask) - torch.cat([batch[f"{side}/reference"] for side in SIDES])
        if self._config.loss == "ipo":
            said = said / mask.sum(1)
        chosen, rejected = said.chunk(2)
        return chosen, rejected

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch], part: str) -> Mapping[str, float]:
        """How often the preferred one gained more than the other, and by how many nats."""
        with self._optimizer.averaged():
            pairs = [self._log_ratios(to_device(batch, self.model.device)) for batch in batches]
        chosen, rejected = (torch.cat(side) for side in zip(*pairs, strict=True))
        loss = preference_loss(chosen, rejected, self._config)
        return {
            "preference_accuracy": float((chosen > rejected).float().mean()),
            "margin_nats": float((chosen - rejected).mean()),
            "loss": float(loss.sum / loss.count),
        }


def preference_loss(chosen: Tensor, rejected: Tensor, config: DPOConfig) -> Loss:
    """By the log-ratios [B] of the model to the reference."""
    apart = chosen - rejected
    loss = -F.logsigmoid(config.beta * apart) if config.loss == "dpo" else (apart - 1 / (2 * config.beta)).square()
    rows = len(apart)
    metrics: Metrics = {
        "learner/preference_accuracy": Mean((apart > 0).float().mean().detach(), rows),
        "learner/chosen_log_ratio_nats": Mean(chosen.mean().detach(), rows),
        "learner/rejected_log_ratio_nats": Mean(rejected.mean().detach(), rows),
    }
    return Loss(loss.sum(), rows, metrics)


@dataclass(frozen=True, kw_only=True)
class DPORunConfig(DataRunConfig):
    """How a language model learns from pairs. `minibatch_size` counts pairs."""

    algorithm: DPOConfig = DPOConfig()
    template: TemplateConfig = PLAIN
    epochs: int | None = 1
    evaluation: HeldOutConfig = HeldOutConfig(every=Every(1, "epochs"), minibatch_size=256)
    log_every: Every = Every(10, "updates")
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(100, "updates"))


def train(
    config: DPORunConfig,
    run: Run,
    model: Any,
    pairs: Splits,
    *,
    measure: Callable[[DPO], Mapping[str, float]] | None = None,
) -> None:
    """One run, which changes the model; `pairs` are as `preference_pairs` gives them."""

    def make(model: Any, own: DPOConfig, until: Budget) -> DPO:
        return DPO(model, own, until=until)

    more = None if measure is None else lambda algorithm, _: measure(algorithm)
    recipe.train(config, run, pairs, model, make, measure=more)
