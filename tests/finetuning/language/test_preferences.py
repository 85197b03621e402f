"""Pairs of completions: the better one is chosen, the reference's words are kept, the distance from it is measured."""

from __future__ import annotations

import pytest
import torch

from finetuning.language.dialogue import PLAIN
from finetuning.language.log_probs import sequence_log_probs
from finetuning.language.preferences import both_sides, kl_per_token, preference_pairs
from tests.finetuning.test_grpo import likes_short
from tests.support.language_models import speller
from training.data.dataset import Dataset
from training.errors import UserError

PROMPTS = ["a", "bc", "d", "ea", "cc", "db"]


def pairs() -> Dataset:
    return preference_pairs(speller(), PROMPTS, likes_short, PLAIN, completions=8, max_tokens=6, seed=1, source="tries")


def test_the_better_one_is_chosen_and_the_reference_has_read_both() -> None:
    data, model = pairs(), speller()
    batch = data.gather(torch.arange(len(data)))
    tokens, mask = both_sides(batch)
    lengths = mask.sum(1).chunk(2)
    assert (lengths[0] <= 2).all()  # a character and the end
    assert (lengths[1] > 2).all()
    said = sequence_log_probs(model, tokens, mask).detach()
    kept = torch.cat([batch["chosen/reference"], batch["rejected/reference"]])
    torch.testing.assert_close(said, kept, rtol=1e-4, atol=1e-4)
    assert data.sha256 == pairs().sha256


def test_where_all_are_alike_there_is_nothing_to_prefer() -> None:
    with pytest.raises(UserError, match="tries: no prompt has completions of which one is better"):
        preference_pairs(speller(), PROMPTS, lambda *_: 0.0, PLAIN, completions=4, max_tokens=6, seed=1, source="tries")


def test_a_model_is_at_no_distance_from_itself_and_at_some_from_another() -> None:
    model, other = speller(), speller()
    with torch.no_grad():
        other.embedding.weight.mul_(1.2)
    assert kl_per_token(model, speller(), PROMPTS, PLAIN, max_tokens=6, seed=1) == pytest.approx(0.0, abs=1e-5)
    assert kl_per_token(other, model, PROMPTS * 20, PLAIN, max_tokens=6, seed=1) > 0.005
