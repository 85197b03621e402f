"""A small GPT takes to another style of code from a little of it: with all weights, and with adapters of 4 %."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch.nn import Module

from experiments.language import gpt_stdlib
from finetuning import language_model
from finetuning.language_model import AdaptConfig
from finetuning.lora import LoRAConfig, trained_fraction
from pretraining import next_token
from pretraining.language_model import load_language_model
from pretraining.next_token import NextToken, NextTokenConfig
from training.claims import Claim
from training.data.corpus import rewritten, tokenize_corpus
from training.errors import require
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run
from training.seeding import generator


def _adaptation(learning_rate: float, lora: LoRAConfig | None = None) -> AdaptConfig:
    schedule = Schedule("cosine", final=0.1, warmup=0.1)
    optimizer = OptimizerConfig("adamw", learning_rate=learning_rate, max_grad_norm=1.0, schedule=schedule)
    return AdaptConfig(epochs=None, steps=60, minibatch_size=16, algorithm=NextTokenConfig(optimizer), lora=lora)


@dataclass(frozen=True, kw_only=True)
class Config(gpt_stdlib.Config):
    """`gpt_stdlib` for fewer updates, then twice some of its text with half the indentation: all weights, and adapters.

    From much more text all weights go on to learn code itself beside its style, and leave adapters behind. Each has the
    rate that was best on the files for validation, with another seed: of 3e-4, 1e-3 and 3e-3 for all weights, of 3e-3,
    1e-2 and 3e-2 for adapters.
    """

    steps: int | None = 400
    adaptation_rows: int = 160
    """At most so many of `model.context` tokens each, 41,000 together; each is seen six times."""
    full: AdaptConfig = field(default_factory=lambda: _adaptation(1e-3))
    adapters: AdaptConfig = field(default_factory=lambda: _adaptation(3e-3, LoRAConfig(rank=4, alpha=8.0)))

    def __post_init__(self) -> None:
        super().__post_init__()
        least = max(self.full.minibatch_size, self.adapters.minibatch_size)
        require(
            self.adaptation_rows >= least, "adaptation_rows", self.adaptation_rows, f"at least a minibatch: {least}"
        )


# In percentage points of the next tokens of files that neither has seen.
RESPLIT = Config().corpus.test_per_train
CLAIMS = (
    Claim("comparison/points_below_full", "<=", 1.0, resplit=RESPLIT),
    Claim("comparison/points_over_pretrained", ">=", 1.0, resplit=RESPLIT),
)


def train(config: Config, run: Run) -> None:
    """Three stages: pretraining, and from what it learned one adaptation of each kind."""
    pretraining, full, adapters = run.stage("pretrain"), run.stage("full"), run.stage("lora")
    if not pretraining.finished:
        next_token.train(config, pretraining)
    read = tokenize_corpus(config.corpus, pretraining.folder / "tokens", config.seed, config.model.vocabulary)
    rows = rewritten(read, with_half_the_indentation, run.folder / "restyled").rows(config.model.context)
    order = torch.randperm(len(rows.train), generator=generator(config.seed, "adaptation"))
    rows = rows._replace(train=rows.train.select(order[: config.adaptation_rows].numpy()))

    def measure(learner: NextToken) -> Mapping[str, float]:
        begin = NextToken(load_language_model(pretraining.folder), config.algorithm, until=config.until)
        assert isinstance(learner.model, Module)
        return {
            "comparison/pretrained_accuracy": begin.measure(rows.test.batches(32), "test")["accuracy"],
            "comparison/trained_fraction": trained_fraction(learner.model),
        }

    for stage, own in ((full, config.full), (adapters, config.adapters)):
        if not stage.finished:
            language_model.train(
                replace(own, seed=config.seed), stage, load_language_model(pretraining.folder), rows, measure=measure
            )
    accuracy = {stage: 100 * stage.result["metrics"]["test/accuracy"] for stage in (full, adapters)}
    before = 100 * adapters.result["metrics"]["comparison/pretrained_accuracy"]
    compared = {
        "comparison/points_below_full": accuracy[full] - accuracy[adapters],
        "comparison/points_over_pretrained": accuracy[adapters] - before,
    }
    run.finish_as(adapters, compared)


def with_half_the_indentation(text: str) -> str:
    """Two spaces in the place of four."""
    return re.sub(r"^ +", lambda spaces: spaces[0][: len(spaces[0]) // 2], text, flags=re.MULTILINE)
