"""The language model: documents in a row, drawing tokens with the cache, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pretraining.language_model import LanguageModel, LanguageModelConfig, complete, draw, generate
from tests.support.language_models import SHAPE, TEXTS
from training.data.corpus import Tokenizer
from training.errors import UserError
from training.networks.transformer import TransformerConfig
from training.seeding import generator


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


def test_only_rotary_positions_tell_the_model_where_a_token_is() -> None:
    with pytest.raises(UserError, match=r"transformer\.position = 'none': it takes 'rotary'"):
        LanguageModelConfig(TransformerConfig(width=16))
