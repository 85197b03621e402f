"""Rules of fine-tuning: rates fall from the output down, and what is frozen stays."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from finetuning.optimizer_rules import discriminative, frozen
from training.core import Batch, Budget, Counters
from training.networks.transformer import Transformer, TransformerConfig
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.seeding import generator


def test_rates_fall_from_the_output_down() -> None:
    model = transformer()
    rules = discriminative(["norm.*", "blocks.1.*", "blocks.0.*"], 1.0, factor=2.0)
    optimizer = Optimizer(
        dict(model.named_parameters()), OptimizerConfig("sgd", rules=rules), until=Budget(1, "updates")
    )
    rates = {key: metric.value for key, metric in optimizer.step(_sum_of(model), {}, Counters()).items()}
    assert rates["optimizer/learning_rate/norm.*"] == 1.0
    assert rates["optimizer/learning_rate/blocks.1.*"] == 0.5
    assert rates["optimizer/learning_rate/blocks.0.*"] == 0.25


def test_what_is_frozen_stays_and_all_else_moves() -> None:
    model = transformer()
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    config = OptimizerConfig("sgd", learning_rate=0.1, rules=frozen("blocks.0.*"))
    Optimizer(dict(model.named_parameters()), config, until=Budget(1, "updates")).step(_sum_of(model), {}, Counters())
    for key, value in model.named_parameters():
        assert torch.equal(value, before[key]) == key.startswith("blocks.0."), key


def _sum_of(model: nn.Module) -> Callable[[Batch], Loss]:
    def loss(batch: Batch) -> Loss:
        return Loss(torch.stack([weight.square().sum() + weight.sum() for weight in model.parameters()]).sum(), 1, {})

    return loss


def transformer() -> Transformer:
    return Transformer(TransformerConfig(width=16, layers=2, heads=2), generator(1))
