"""The language model: documents in a row, drawing tokens with the cache, accumulation, saving, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.language.gpt_stdlib import Config
from pretraining import next_token
from pretraining.baselines.kneser_ney import kneser_ney_loss
from pretraining.language_model import LanguageModel, LanguageModelConfig, complete, draw, generate, load_language_model
from pretraining.next_token import NextToken, NextTokenConfig, NextTokenRunConfig
from training.core import Budget, Counters, Every
from training.data.corpus import CorpusConfig, TokenizedCorpus, Tokenizer
from training.errors import UserError
from training.networks.transformer import TransformerConfig
from training.optimizer import OptimizerConfig
from training.run.run import Run
from training.seeding import generator

TEXTS = [f"def double_{index}(value):\n    return value * {index}\n" for index in range(40)]
SHAPE = LanguageModelConfig(
    TransformerConfig(width=16, layers=2, heads=2, norm="rms", mlp="swiglu", position="rotary"),
    context=12,
    vocabulary=280,
)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    """With weights large enough that its tokens differ."""
    model = LanguageModel(SHAPE, Tokenizer.trained(TEXTS, SHAPE.vocabulary), generator(1))
    rng = generator(2)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=rng) * 0.3)
    return model


def test_documents_in_one_row_do_not_see_each_other(model: LanguageModel) -> None:
    end = model.tokenizer.end
    one, other = [end, 30, 31, 32], [end, 40, 41]
    with torch.no_grad():
        together = model(torch.tensor([one + other]))
        alone = torch.cat([model(torch.tensor([one])), model(torch.tensor([other]))], dim=1)
    torch.testing.assert_close(together, alone)


def test_greedy_tokens_are_those_of_the_whole_context_each_time(model: LanguageModel) -> None:
    """Also behind the context's end, where the older half of it is forgotten."""
    prompt = [30, 31, 32]
    made = list(generate(model, prompt, generator(1), temperature=0.0, most=30))
    known, first = [model.tokenizer.end, *prompt], 0
    for token in made:
        if len(known) - first > SHAPE.context:
            first = len(known) - SHAPE.context // 2
        with torch.no_grad():
            logits = model(torch.tensor([known[first:]]))[0, -1]
        assert token == int(logits.argmax())
        known.append(token)
    assert len(made) == 30 or len(made) > SHAPE.context


def test_tokens_are_drawn_by_temperature_among_the_k_likeliest() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    rng = generator(1)
    drawn = np.bincount([draw(logits, rng, temperature=0.5, top_k=2) for _ in range(4000)], minlength=4) / 4000
    expected = 1 / (1 + np.exp(-2.0))  # a difference of 1 at temperature 0.5
    assert drawn[0] == drawn[3] == 0
    assert drawn[2] == pytest.approx(expected, abs=0.02)


def test_what_no_drawing_takes_is_told(model: LanguageModel) -> None:
    with pytest.raises(UserError, match="temperature = -1: it takes a finite number of at least 0"):
        complete(model, "def", generator(1), temperature=-1)
    with pytest.raises(UserError, match="top_k = 0: it takes at least 1, or None"):
        complete(model, "def", generator(1), top_k=0)


def test_the_end_token_ends_a_text(model: LanguageModel) -> None:
    ends = LanguageModel(SHAPE, model.tokenizer, generator(1))
    with torch.no_grad():
        for weight in ends.parameters():
            weight.zero_()
        ends.transformer.norm.weight.fill_(1.0)
    text = complete(ends, "def double", generator(1), temperature=0.0)  # all logits are equal: the first is the end's
    assert ends.tokenizer.end == 0
    assert text == "def double"


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
    assert complete(model, "def double_", generator(1), temperature=0.0, most=30).startswith("def double_")
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
    learner = NextToken(model, config.algorithm, until=config.until)
    kinds = {key: moments["kind"] for key, moments in learner.state_dict()["optimizer"]["moments"].items()}
    assert kinds["transformer.blocks.3.widen.weight"] == "muon"
    assert kinds["embedding.weight"] == kinds["transformer.blocks.0.attend.bias"] == "adamw"


def test_only_rotary_positions_tell_the_model_where_a_token_is() -> None:
    with pytest.raises(UserError, match=r"transformer\.position = 'none': it takes 'rotary'"):
        LanguageModelConfig(TransformerConfig(width=16))
