"""Pretraining of a language model: accumulation, checkpointed activations, rules, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.language.gpt_stdlib import Config
from pretraining import next_token
from pretraining.baselines.kneser_ney import kneser_ney_loss
from pretraining.language_model import LanguageModel, load_language_model
from pretraining.next_token import NextToken, NextTokenConfig, NextTokenRunConfig
from pretraining.sampling import SamplingConfig, complete
from tests.support.language_models import SHAPE, SMALL_GPT, TEXTS
from training.core import Budget, Counters, Every
from training.data.corpus import CorpusConfig, TokenizedCorpus, Tokenizer
from training.errors import UserError
from training.optimizer import OptimizerConfig
from training.run.run import Run
from training.seeding import generator

RESUMED = {  # packed documents in micro-batches, averaged weights, two kinds of optimizer
    "gpt_stdlib": [
        *(*SMALL_GPT, "--minibatch-size", "7", "--steps", "300"),
        *("--algorithm.optimizer.ema-decay", "0.9", "--algorithm.optimizer.micro-batches", "2"),
    ],
}


@pytest.mark.parametrize("micro_batches", [2, 3])
def test_accumulated_micro_batches_are_the_big_batch(micro_batches: int) -> None:
    tokenizer = Tokenizer.trained(TEXTS, SHAPE.vocabulary)
    rows = torch.randint(tokenizer.size, (6, SHAPE.context + 1), generator=generator(3), dtype=torch.int32)
    weights, losses = [], []
    for parts in (1, micro_batches):
        model = LanguageModel(SHAPE, tokenizer, generator(1))
        config = NextTokenConfig(OptimizerConfig(kind="sgd", learning_rate=1.0, micro_batches=parts))
        metrics, _ = NextToken(model, config, until=Budget(1, "updates")).update({"tokens": rows}, Counters())
        weights.append(torch.cat([weight.detach().flatten() for weight in model.parameters()]))
        losses.append(metrics["learner/loss_nats"].value)
    torch.testing.assert_close(weights[0], weights[1])
    assert float(losses[0]) == pytest.approx(float(losses[1]))


@pytest.fixture
def config(tmp_path: Path) -> NextTokenRunConfig:
    source = tmp_path / "source"
    source.mkdir()
    for index, text in enumerate(TEXTS):
        (source / f"{index:02d}.py").write_text(text * 4)
    return NextTokenRunConfig(
        corpus=CorpusConfig(str(source), held_out=0.1),
        model=SHAPE,
        epochs=None,
        steps=150,
        minibatch_size=16,
        algorithm=NextTokenConfig(OptimizerConfig(learning_rate=1e-2)),
        log_every=Every(10, "updates"),
        threads=1,
        precision="float32",
    )


def test_it_learns_and_comes_back_from_its_run(config: NextTokenRunConfig, tmp_path: Path) -> None:
    references = []

    def measure(_: NextToken, corpus: TokenizedCorpus) -> dict[str, float]:
        references.append(kneser_ney_loss(corpus, SHAPE.context))
        return {}

    with Run.create("gpt_stdlib", config, folder=tmp_path / "run", tracker="none") as run:
        next_token.train(config, run, measure=measure)
    result = run.result["metrics"]
    assert result["test/loss_nats"] < 1.5 < np.log(SHAPE.vocabulary)
    assert result["test/accuracy"] > 0.6
    assert result["test/perplexity"] == pytest.approx(np.exp(result["test/loss_nats"]))
    assert 0 < references[0] < 1.5

    model = load_language_model(tmp_path / "run")
    assert complete(model, "def double_", generator(1), SamplingConfig(0.0, max_tokens=30)).startswith("def double_")
    tokens = torch.tensor([[model.tokenizer.end, *model.tokenizer.encode(TEXTS[1])]])
    assert (model(tokens[:, :-1]).argmax(-1) == tokens[:, 1:]).float().mean() > 0.5


def test_checkpointing_activations_makes_the_same_run(config: NextTokenRunConfig, tmp_path: Path) -> None:
    config = replace(config, steps=3)
    results = []
    for checkpoints in (False, True):
        own = replace(config, model=replace(SHAPE, checkpoint_activations=checkpoints))
        with Run.create("gpt_stdlib", own, folder=tmp_path / str(checkpoints), tracker="none") as run:
            next_token.train(own, run)
        results.append(run.result["metrics"])
    assert results[0] == results[1]
    with pytest.raises(UserError, match=r"takes False with model\.checkpoint_activations"):
        replace(config, model=replace(SHAPE, checkpoint_activations=True), compile=True)


def test_the_experiments_rules_give_every_parameter_its_optimizer() -> None:
    config = Config()
    model = LanguageModel(config.model, Tokenizer.trained(TEXTS, 280), generator(1))
    algorithm = NextToken(model, config.algorithm, until=config.until)
    kinds = {key: moments["kind"] for key, moments in algorithm.state_dict()["optimizer"]["moments"].items()}
    assert kinds["transformer.blocks.3.widen.weight"] == "muon"
    assert kinds["embedding.weight"] == kinds["transformer.blocks.0.attend.bias"] == "adamw"
