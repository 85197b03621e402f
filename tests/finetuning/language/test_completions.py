"""The stream of completions: rewards, groups, refills, and that it goes on in the midst of an iteration."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from finetuning.language.completions import (
    Completions,
    CompletionsConfig,
    complete_prompts,
    joined,
    measure_solved,
    prompts_of,
    read_prompts,
    teaches,
)
from finetuning.language.dialogue import PLAIN
from pretraining.sampling import SamplingConfig
from tests.support.language_models import speller
from training.core import Batch, Counters
from training.errors import UserError
from training.seeding import generator

PROMPTS = [*"abcde", "ab", "cd", "bcd", "dee", "eaa"]
MODEL = speller()


def length(prompt: str, text: str) -> float:
    """A reward that differs."""
    return float(len(text) % 3 == 0)


def make(verify: Any = length, *, groups: int = 2, **changes: Any) -> Completions:
    config = CompletionsConfig(**{"prompts": 4, "completions": 3, "max_tokens": 4, **changes})
    return Completions(MODEL, prompts_of(PROMPTS, "here"), verify, config, PLAIN, groups=groups, seed=1)


def equal(one: Batch, other: Batch) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_prompts_are_texts_again() -> None:
    texts = ["a", "é€", ""]
    assert read_prompts(prompts_of(texts, "here").gather(torch.arange(3))) == texts


def test_a_minibatch_has_whole_groups_and_the_rewards_of_its_texts() -> None:
    stream, now, seen = make(), Counters(), []
    for _ in range(2):
        batch, now, _ = stream.next(now)
        assert batch["group"].unique(return_counts=True)[1].tolist() == [3, 3]
        seen += batch["group"].unique().tolist()
        for row in range(6):
            words = batch["tokens"][row][batch["is_completion"][row]].tolist()
            ended = words[-1] == MODEL.tokenizer.end
            text = MODEL.tokenizer.decode(words[:-1] if ended else words)
            assert batch["reward"][row] == (length("", text) if ended else 0.0)
            assert batch["truncated"][row] == (not ended)
        same = [batch["tokens"][batch["group"] == number] for number in batch["group"].unique()]
        for group in same:
            prompt = ~batch["is_completion"][batch["group"] == batch["group"][0]]
            assert (group[:, 1] == group[0, 1]).all()
            assert prompt[:, 0].all()
    assert sorted(seen) == [0, 1, 2, 3]
    assert now.samples == 12


@pytest.mark.parametrize("taken", [0, 1, 2, 3, 5])
def test_it_goes_on_to_the_bit_also_within_an_iteration(taken: int) -> None:
    one, other, now = make(passes=2), make(passes=2), Counters()
    for _ in range(taken):
        _, now, _ = one.next(now)
    other.load_state_dict(one.state_dict())
    after = now
    for _ in range(5):
        (batch, now, measured), (same, after, again) = one.next(now), other.next(after)
        assert equal(batch, same)
        assert (now, measured) == (after, again)


def test_every_prompt_comes_once_in_an_epoch() -> None:
    stream, now = make(groups=4), Counters()
    for _ in range(3):  # 4, 4 and the last 2
        _, now, _ = stream.next(now)
    assert (now.epochs, now.samples) == (1, 30)


def test_groups_without_signal_are_replaced_while_there_are_refills() -> None:
    def every_second(prompt: str, text: str) -> float:
        return length(prompt, text) if prompt in PROMPTS[::2] else 0.0

    plain, _, _ = make(every_second, groups=4).next(Counters())
    assert len(plain["group"].unique()) == 4
    stream = make(every_second, groups=4, refills=4)
    batch, _, measured = stream.next(Counters())
    assert teaches(batch).all()
    assert len(batch["group"].unique()) > int(teaches(plain).sum())
    assert measured["completions/groups_with_signal_fraction"].value < 1
    nothing, _, _ = make(lambda prompt, text: 0.0, groups=4, refills=2).next(Counters())
    assert len(nothing["reward"]) > 0  # all the same: what was drawn is learned from as it is


def test_what_is_cut_has_not_ended_and_earns_nothing() -> None:
    batch = complete_prompts(MODEL, PROMPTS[:3], lambda prompt, text: 1.0, generator(1), PLAIN, completions=9,
                             how=SamplingConfig(max_tokens=2))  # fmt: skip
    assert batch["truncated"].any()
    assert torch.equal(batch["reward"] == 0.0, batch["truncated"])


def test_joined_batches_are_padded_with_what_means_nothing() -> None:
    how = [SamplingConfig(max_tokens=most) for most in (1, 5)]
    parts = [complete_prompts(MODEL, PROMPTS[:2], length, generator(1), PLAIN, completions=2, how=own) for own in how]
    whole = joined(parts)
    assert whole["tokens"].shape == whole["is_completion"].shape == (8, parts[1]["tokens"].shape[1])
    assert whole["is_completion"].sum() == sum(part["is_completion"].sum() for part in parts)


def test_a_model_is_measured_by_its_likeliest_words_and_by_what_it_draws() -> None:
    found = measure_solved(MODEL, PROMPTS, length, PLAIN, max_tokens=5, samples=4, seed=1)
    assert found == measure_solved(MODEL, PROMPTS, length, PLAIN, max_tokens=5, samples=4, seed=1)
    assert set(found) == {"greedy_accuracy", "sampled_accuracy", "pass_at_4"}
    assert found["pass_at_4"] >= found["sampled_accuracy"]


def test_mistakes_are_told() -> None:
    with pytest.raises(UserError, match="minibatch_size = 5: it takes 1 to 4, the prompts of an iteration"):
        make(groups=5)
    with pytest.raises(UserError, match="completions = 1: it takes at least 2"):
        make(completions=1)
    with pytest.raises(UserError, match=r"the verifier gives nan for .* it takes a finite number"):
        make(lambda prompt, text: float("nan")).next(Counters())
    with pytest.raises(UserError, match=r"max_tokens = 30: it takes at most \d+: the context has 12 tokens"):
        make(max_tokens=30).next(Counters())
