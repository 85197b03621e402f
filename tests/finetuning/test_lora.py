"""Adapters in our models and in Hugging Face's: they change nothing at first, are trained alone, and are merged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from finetuning.lora import LoRAConfig, inject, merge, trained_fraction
from finetuning.optimizer_rules import LORA_RULES
from tests.support.language_models import SMALL_GPT, gpt2, llama
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.networks import MLP, NetworkConfig
from training.networks.transformer import Transformer, TransformerConfig
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.seeding import generator

RESUMED = {  # three stages: pretraining, then all weights and adapters alone
    "gpt_lora": [
        *(*SMALL_GPT, "--steps", "60", "--full.steps", "80", "--full.threads", "1", "--full.precision", "float32"),
        *("--adapters.steps", "120", "--adapters.threads", "1", "--adapters.precision", "float32"),
        *("--full.checkpoint.every.count", "35", "--adapters.checkpoint.every.count", "35"),
    ],
}

Case = tuple[nn.Module, Callable[[nn.Module], torch.Tensor], str]


def ours() -> Case:
    tokens = torch.randn(2, 5, 16, generator=generator(2))
    return Transformer(TransformerConfig(width=16, layers=2, heads=2), generator(1)), lambda model: model(tokens), "*"


def perceptron() -> Case:
    values = torch.randn(4, 6, generator=generator(2))
    network = MLP(6, NetworkConfig(hidden=(8, 8)), generator(1), outputs=3)
    return network, lambda model: model(values), "*"


def hugging_face(make: Callable[[], Any], targets: str) -> Case:
    tokens = torch.randint(20, (2, 5), generator=generator(2))
    return make(), lambda model: model(input_ids=tokens).logits, targets


CASES = {
    "transformer": ours,
    "perceptron": perceptron,
    "llama": lambda: hugging_face(
        lambda: llama(vocabulary=20, width=16, layers=2, heads=2, hidden=32), "model.layers.*"
    ),
    "gpt2": lambda: hugging_face(lambda: gpt2(vocabulary=20, width=16, layers=2, heads=2), "transformer.h.*"),
    # Its output shares the embedding's weight, which no adapter may be merged into.
    "gpt2-all": lambda: hugging_face(lambda: gpt2(vocabulary=20, width=16, layers=2, heads=2), "*"),
}


@pytest.mark.parametrize("kind", CASES)
def test_adapters_begin_as_nothing_are_trained_alone_and_are_merged(kind: str) -> None:
    model, outputs, targets = CASES[kind]()
    names = [name for name, _ in model.named_modules()]
    with torch.no_grad():
        before = outputs(model)
    inject(model, LoRAConfig(rank=2, alpha=6.0, targets=(targets,)), generator(3))
    with torch.no_grad():
        assert torch.equal(outputs(model), before)
    base = {key: value.detach().clone() for key, value in model.named_parameters() if ".lora_" not in key}

    def loss(batch: Batch) -> Loss:
        values = outputs(model)
        return Loss((values - 1).square().sum(), values.numel(), {})

    config = OptimizerConfig(learning_rate=1e-2, rules=LORA_RULES)
    optimizer = Optimizer(dict(model.named_parameters()), config, until=Budget(5, "updates"))
    losses = [float(optimizer.step(loss, {}, Counters())["optimizer/loss"].value) for _ in range(5)]
    assert losses[-1] < losses[0]
    parameters = dict(model.named_parameters())
    assert all(torch.equal(parameters[key], value) for key, value in base.items())
    assert all(".lora_" in key for key in optimizer.trainable)
    with torch.no_grad():
        adapted = outputs(model)
    merge(model)
    assert [name for name, _ in model.named_modules()] == names
    with torch.no_grad():
        torch.testing.assert_close(outputs(model), adapted)
        assert not torch.allclose(adapted, before, atol=1e-4)


def test_an_adapter_adds_alpha_over_rank_times_b_times_a() -> None:
    """Hu et al. 2021, equation 3."""
    model = nn.Sequential(nn.Linear(3, 2))
    inject(model, LoRAConfig(rank=2, alpha=6.0), generator(1))
    weights = dict(model.named_parameters())
    base, a, b = (weights[f"0.{key}.weight"] for key in ("base_layer", "lora_A.default", "lora_B.default"))
    assert trained_fraction(model) == (6 + 4) / 8
    values = torch.randn(4, 3, generator=generator(2))
    with torch.no_grad():
        b.add_(torch.randn(b.shape, generator=generator(3)))
        expected = values @ (base + 3.0 * b @ a).T + weights["0.base_layer.bias"]
        torch.testing.assert_close(model(values), expected)


def test_the_adapters_are_those_of_the_generator_and_the_global_one_does_not_move() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    drawn = []
    for seed in (1, 1, 2):
        model = MLP(6, NetworkConfig(hidden=(8,)), generator(1), outputs=3)
        inject(model, LoRAConfig(), generator(seed))
        drawn.append(dict(model.named_parameters())["0.lora_A.default.weight"].detach())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_pattern_that_matches_nothing_is_told() -> None:
    model, _, _ = ours()
    told = r"lora\.targets: pattern 'blocks\.\*\.query' matches no linear layer of blocks\.0\.attend, "
    with pytest.raises(UserError, match=told):
        inject(model, LoRAConfig(targets=("blocks.*.attend", "blocks.*.query")), generator(1))
    assert not any(".lora_" in key for key, _ in model.named_parameters())


def test_only_the_layers_of_the_patterns_are_adapted() -> None:
    model, _, _ = ours()
    inject(model, LoRAConfig(targets=("blocks.1.*",)), generator(1))
    adapted = {key.split(".")[1] for key, _ in model.named_parameters() if ".lora_" in key}
    assert adapted == {"1"}
