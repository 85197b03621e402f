"""A small GPT adapts to one package: adapters of 4 % of the parameters gain most of what training all of them gains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch.nn import Module

from experiments import gpt_stdlib
from finetuning import adapt
from finetuning.adapt import AdaptConfig
from finetuning.lora import LoRAConfig, trained_fraction
from pretraining import next_token
from pretraining.corpus import TokenizedCorpus
from pretraining.language_model import load_language_model
from pretraining.next_token import NextToken, NextTokenConfig
from training.claims import Claim
from training.optimizer_config import OptimizerConfig
from training.run import Run
from training.schedules import Schedule

PACKAGE = "asyncio/*.py"


def _config(learning_rate: float) -> NextTokenConfig:
    schedule = Schedule("cosine", final=0.1, warmup=0.1)
    return NextTokenConfig(OptimizerConfig("adamw", learning_rate=learning_rate, max_grad_norm=1.0, schedule=schedule))


def _adaptation(learning_rate: float, lora: LoRAConfig | None = None) -> AdaptConfig:
    of_package = gpt_stdlib.Config().corpus
    return AdaptConfig(
        corpus=replace(of_package, patterns=(PACKAGE,), bytes_per_document=None, held_out=0.15),
        epochs=None,
        steps=100,
        minibatch_size=16,
        algorithm=_config(learning_rate),
        lora=lora,
    )


@dataclass(frozen=True, kw_only=True)
class Config(gpt_stdlib.Config):
    """`gpt_stdlib` for fewer updates and without asyncio, then asyncio twice: all weights, and adapters alone.

    Both learning rates are the best of 3e-4, 1e-3, 3e-3 and 1e-2 on the validation files.
    """

    steps: int | None = 200
    full: AdaptConfig = field(default_factory=lambda: _adaptation(1e-3))
    adapters: AdaptConfig = field(default_factory=lambda: _adaptation(1e-2, LoRAConfig(rank=4, alpha=8.0)))


# In percentage points of the next tokens of files that neither has seen. The first is what adapters of larger models
# reach; here they stay three points behind.
CLAIMS = (
    Claim("comparison/points_below_full", "<=", 1.0),
    Claim("comparison/trained_fraction", "<=", 0.05),
    Claim("comparison/points_over_pretrained", ">=", 1.0),
)


def train(config: Config, run: Run) -> None:
    """Three stages: pretraining, and from what it learned one adaptation of each kind."""
    pretraining, full, adapters = run.stage("pretrain"), run.stage("full"), run.stage("lora")
    if not pretraining.finished:
        corpus = replace(config.corpus, without=(*config.corpus.without, PACKAGE))
        next_token.train(replace(config, corpus=corpus), pretraining)

    def measure(learner: NextToken, corpus: TokenizedCorpus) -> Mapping[str, float]:
        rows = corpus.rows(config.model.context).test.batches(32)
        begin = NextToken(load_language_model(pretraining.folder), config.algorithm, until=config.until)
        assert isinstance(learner.model, Module)
        return {
            "comparison/pretrained_accuracy": begin.measure(rows, "test")["accuracy"],
            "comparison/trained_fraction": trained_fraction(learner.model),
        }

    for stage, own in ((full, config.full), (adapters, config.adapters)):
        if not stage.finished:
            own = replace(own, seed=config.seed, model=config.model)
            adapt.train(own, stage, load_language_model(pretraining.folder), measure=measure)
    accuracy = {stage: 100 * stage.result["metrics"]["test/accuracy"] for stage in (full, adapters)}
    before = 100 * adapters.result["metrics"]["comparison/pretrained_accuracy"]
    compared = {
        "comparison/points_below_full": accuracy[full] - accuracy[adapters],
        "comparison/points_over_pretrained": accuracy[adapters] - before,
    }
    run.finish_as(adapters, compared)
