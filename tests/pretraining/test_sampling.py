"""Drawing from language models: the cache, rows of a batch, what is drawn among, the end of a text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finetuning.hugging_face import load_pretrained
from pretraining.language_model import LanguageModel
from pretraining.sampling import SamplingConfig, complete, generate, next_tokens, sample, stream
from tests.support.language_models import SHAPE, distinct_model, llama_checkpoint
from training.errors import UserError
from training.seeding import generator

PROMPTS = [[30, 31, 32], [40], [30, 31, 32], [50, 51], []]
"""Of several lengths, one of them twice, one empty."""
MODELS: dict[str, Callable[[Path], Any]] = {
    "ours": lambda _: distinct_model(),
    "hugging face's": lambda folder: load_pretrained(llama_checkpoint(distinct_model().tokenizer, folder / "llama")),
}


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return distinct_model()


@pytest.mark.parametrize("kind", MODELS)
def test_what_is_drawn_with_the_cache_has_the_probability_that_one_pass_gives_it(kind: str, tmp_path: Path) -> None:
    model = MODELS[kind](tmp_path)
    drawn = sample(model, PROMPTS * 8, generator(1), SamplingConfig(max_tokens=7))
    with torch.no_grad():
        log = model(drawn.tokens[:, :-1]).log_softmax(-1)
    found = log.gather(-1, drawn.tokens[:, 1:, None]).squeeze(-1)
    mask = drawn.is_completion[:, 1:]
    torch.testing.assert_close(drawn.log_prob[:, 1:][mask], found[mask], rtol=1e-4, atol=1e-5)
    assert not drawn.log_prob[~drawn.is_completion].any()
    for row, prompt in enumerate(PROMPTS * 8):
        begin = [model.tokenizer.end, *prompt]
        assert drawn.tokens[row, : len(begin)].tolist() == begin
        (places,) = drawn.is_completion[row].nonzero(as_tuple=True)
        assert places.tolist() == list(range(len(begin), len(begin) + len(places)))
        completion = drawn.tokens[row, places].tolist()
        ended = completion[-1] == model.tokenizer.end
        assert model.tokenizer.end not in completion[:-1]
        assert drawn.truncated[row] == (not ended)
        assert ended or len(completion) == 7
        assert (drawn.tokens[row, places[-1] + 1 :] == model.tokenizer.end).all()


def test_a_row_says_the_same_beside_others_and_alone(model: LanguageModel) -> None:
    """Also where rows that ended have left, and in smaller batches."""
    config = SamplingConfig(max_tokens=7)
    together = sample(model, PROMPTS * 8, generator(1), config)
    by_three = sample(model, PROMPTS * 8, generator(1), config, rows_at_once=3)
    assert torch.equal(together.tokens, by_three.tokens)
    torch.testing.assert_close(together.log_prob, by_three.log_prob)
    assert len(together.tokens.unique(dim=0)) > 20
    greedy = SamplingConfig(temperature=0.0, max_tokens=7)
    batch = sample(model, PROMPTS, generator(1), greedy)
    for row, prompt in enumerate(PROMPTS):
        alone = list(generate(model, prompt, generator(9), greedy))
        drawn = batch.tokens[row][batch.is_completion[row]].tolist()
        assert [token for token in drawn if token != model.tokenizer.end] == alone


def test_greedy_tokens_are_those_of_the_whole_context_each_time(model: LanguageModel) -> None:
    """Also behind the context's end, where the older half of it is forgotten."""
    prompt = [30, 31, 32]
    made = list(generate(model, prompt, generator(1), SamplingConfig(0.0, max_tokens=30)))
    known, first = [model.tokenizer.end, *prompt], 0
    for token in made:
        if len(known) - first > SHAPE.context:
            first = len(known) - SHAPE.context // 2
        with torch.no_grad():
            logits = model(torch.tensor([known[first:]]))[0, -1]
        assert token == int(logits.argmax())
        known.append(token)
    assert len(made) == 30 or len(made) > SHAPE.context


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (SamplingConfig(), [0.0871, 0.2369, 0.6439, 0.0321]),
        (SamplingConfig(temperature=0.5), [0.0158, 0.1170, 0.8650, 0.0021]),
        (SamplingConfig(temperature=0.5, top_k=2), [0, 0.1192, 0.8808, 0]),
        (SamplingConfig(top_p=0.6), [0, 0, 1, 0]),
        (SamplingConfig(top_p=0.7), [0, 0.2689, 0.7311, 0]),  # the likeliest is not enough
        (SamplingConfig(top_p=1e-9), [0, 0, 1, 0]),  # one always is drawn among
        (SamplingConfig(temperature=0.0), [0, 0, 1, 0]),
    ],
)
def test_tokens_are_drawn_with_their_probabilities(config: SamplingConfig, expected: list[float]) -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0]).repeat(10_000, 1)
    uniform = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    drawn = np.bincount(next_tokens(logits, uniform, config), minlength=4) / 10_000
    np.testing.assert_allclose(drawn, expected, atol=2e-4)


def test_no_number_draws_what_has_no_probability() -> None:
    logits = torch.tensor([[float("-inf"), 0.0, float("-inf")]]).repeat(2, 1)
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert next_tokens(logits, ends, SamplingConfig()).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"temperature": -1}, "temperature = -1: it takes a finite number of at least 0"),
        ({"top_k": 0}, "top_k = 0: it takes at least 1, or None"),
        ({"top_p": 0.0}, "top_p = 0.0: it takes a number above 0, at most 1"),
        ({"max_tokens": 0}, "max_tokens = 0: it takes at least 1"),
    ],
)
def test_what_no_drawing_takes_is_told(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        SamplingConfig(**wrong)


def test_a_batch_stays_in_the_context(model: LanguageModel) -> None:
    fits = SHAPE.context - 3  # the end token, a prompt of three, and the last token is not looked back on
    sample(model, [[30, 31, 32]], generator(1), SamplingConfig(max_tokens=fits))
    with pytest.raises(UserError, match=f"max_tokens = {fits + 1}: it takes at most {fits}: the context has 12 tokens"):
        sample(model, [[30, 31, 32]], generator(1), SamplingConfig(max_tokens=fits + 1))


def test_the_end_token_ends_a_text(model: LanguageModel) -> None:
    ends = LanguageModel(SHAPE, model.tokenizer, generator(1))
    with torch.no_grad():
        for weight in ends.parameters():
            weight.zero_()
        ends.transformer.norm.weight.fill_(1.0)
    assert ends.tokenizer.end == 0
    # All logits are equal: the first token is the end's.
    assert complete(ends, "def double", generator(1), SamplingConfig(temperature=0.0)) == "def double"


def test_pieces_of_a_stream_are_the_text_up_to_the_first_stop_word(model: LanguageModel) -> None:
    """No piece shows a part of a stop word or half a character."""
    config = SamplingConfig(max_tokens=60)
    whole = "".join(stream(model, [30], generator(3), config))
    assert whole == complete(model, "", generator(3), config) or len(whole) > 10
    word = whole[20:23]
    pieces = list(stream(model, [30], generator(3), config, stop=["never there", word]))
    assert "".join(pieces) == whole[: whole.find(word)]
    assert all(pieces)
    with pytest.raises(UserError, match=r"stop = \('',\): it takes words of at least one character"):
        list(stream(model, [30], generator(3), stop=[""]))
