"""Adapting pretrained language models, ours and Hugging Face's from a folder: they learn, are merged and are held."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from finetuning import hugging_face, language_model
from finetuning.hugging_face import HuggingFaceModel, export, load_pretrained
from finetuning.language_model import AdaptConfig, load_adapted
from finetuning.lora import LoRAConfig
from pretraining.language_model import LanguageModel, LanguageModelConfig, load_language_model
from pretraining.next_token import NextTokenConfig
from tests.support.language_models import TEXTS, llama_checkpoint
from training.core import Every
from training.data.corpus import CorpusConfig, Tokenizer, tokenize_corpus
from training.data.splits import Splits
from training.errors import UserError
from training.networks.transformer import TransformerConfig
from training.optimizer import OptimizerConfig, Rule
from training.run.run import Run
from training.seeding import generator

SHAPE = LanguageModelConfig(
    TransformerConfig(width=16, layers=1, heads=2, norm="rms", mlp="swiglu", position="rotary"),
    context=12,
    vocabulary=280,
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.trained(TEXTS, SHAPE.vocabulary)


@pytest.fixture
def config() -> AdaptConfig:
    return AdaptConfig(
        epochs=None,
        steps=20,
        minibatch_size=8,
        log_every=Every(10, "updates"),
        algorithm=NextTokenConfig(OptimizerConfig(learning_rate=1e-2)),
        threads=1,
        precision="float32",
    )


@pytest.fixture
def checkpoint(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    return llama_checkpoint(tokenizer, tmp_path / "checkpoint")


def rows(model: Any, folder: Path) -> Splits:
    """Those of another corpus."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    for index, text in enumerate(TEXTS):
        (source / f"{index:02d}.py").write_text(text * 2)
    tokenizer = model.tokenizer
    corpus = tokenize_corpus(CorpusConfig(str(source), held_out=0.1), folder / "tokens", 1, tokenizer.size, tokenizer)
    return corpus.rows(SHAPE.context)


def learn(config: AdaptConfig, model: Any, folder: Path) -> tuple[float, float]:
    """The loss before and after."""
    with Run.create("gpt_lora", config, folder=folder, tracker="none") as run:
        first = replace(config, steps=1, algorithm=NextTokenConfig(OptimizerConfig(learning_rate=1e-9)))
        with Run.create("gpt_lora", first, folder=folder.with_name("before"), tracker="none") as before:
            language_model.train(replace(first, lora=None), before, adapt_copy(model), rows(model, folder.parent))
        language_model.train(config, run, model, rows(model, folder.parent))
    return before.result["metrics"]["test/loss_nats"], run.result["metrics"]["test/loss_nats"]


def adapt_copy(model: Any) -> Any:
    kind = hugging_face if isinstance(model, HuggingFaceModel) else language_model.language_model
    saved = model.save()
    copy = kind.build(saved)
    copy.load_state_dict(saved["weights"])
    return copy


@pytest.mark.parametrize("lora", [None, LoRAConfig(rank=2)])
def test_ours_learns_from_another_corpus_and_comes_back_merged(
    lora: LoRAConfig | None, config: AdaptConfig, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = LanguageModel(SHAPE, tokenizer, generator(1))
    begin = {key: value.clone() for key, value in model.state_dict().items()}
    before, after = learn(replace(config, lora=lora), model, tmp_path / "run")
    assert after < before
    loaded = load_adapted(tmp_path / "run")
    assert isinstance(loaded, LanguageModel)
    assert list(loaded.state_dict()) == list(begin)
    tokens = torch.randint(tokenizer.size, (2, 6), generator=generator(1))
    with torch.no_grad():
        torch.testing.assert_close(loaded(tokens), model(tokens))
    if lora is None:
        assert torch.equal(load_language_model(tmp_path / "run")(tokens), loaded(tokens))
    else:
        assert torch.equal(loaded.embedding.weight, begin["embedding.weight"])
        with pytest.raises(UserError, match=r"has adapters: load it with finetuning\.language_model\.load_adapted"):
            load_language_model(tmp_path / "run")


@pytest.mark.parametrize("lora", [None, LoRAConfig(rank=2, targets=("network.model.layers.*",))])
def test_hugging_faces_goes_the_same_way_and_back(
    lora: LoRAConfig | None, config: AdaptConfig, checkpoint: Path, tmp_path: Path
) -> None:
    model = load_pretrained(checkpoint)
    before, after = learn(replace(config, lora=lora), model, tmp_path / "run")
    assert after < before
    loaded = load_adapted(tmp_path / "run")
    assert isinstance(loaded, HuggingFaceModel)
    tokens = torch.randint(model.tokenizer.size, (2, 6), generator=generator(1))
    export(loaded, tmp_path / "exported")
    again = load_pretrained(tmp_path / "exported")
    with torch.no_grad():
        torch.testing.assert_close(loaded(tokens), model(tokens))
        assert torch.equal(again(tokens), loaded(tokens))
    assert again.tokenizer.encode(TEXTS[3]) == model.tokenizer.encode(TEXTS[3])


def test_an_anchor_holds_the_pretrained_weights(config: AdaptConfig, tokenizer: Tokenizer, tmp_path: Path) -> None:
    begin = LanguageModel(SHAPE, tokenizer, generator(1)).state_dict()
    distances = []
    for weight in (0.0, 0.1, 10.0):
        model = LanguageModel(SHAPE, tokenizer, generator(1))
        with Run.create("gpt_lora", config, folder=tmp_path / str(weight), tracker="none") as run:
            language_model.train(replace(config, anchor=weight), run, model, rows(model, tmp_path))
        distances.append(sum(float((value - begin[key]).square().sum()) for key, value in model.state_dict().items()))
    assert distances == sorted(distances, reverse=True)
    assert distances[2] < distances[0] / 10


def test_adapters_leave_nothing_for_rules_and_anchors(config: AdaptConfig) -> None:
    with pytest.raises(UserError, match="anchor = 1: it takes 0 with lora"):
        replace(config, lora=LoRAConfig(), anchor=1)
    ruled = NextTokenConfig(OptimizerConfig(rules=(Rule("*"),)))
    with pytest.raises(UserError, match=r"algorithm\.optimizer\.rules = .*: it takes \(\) with lora"):
        replace(config, lora=LoRAConfig(), algorithm=ruled)
    with pytest.raises(UserError, match="rank = 0: it takes at least 1"):
        LoRAConfig(rank=0)
