"""Log-probabilities of documents: those of the tokens drawn, and of whole completions."""

from __future__ import annotations

import torch

from finetuning.language.log_probs import reference_log_probs, sequence_log_probs, token_log_probs
from pretraining.sampling import SamplingConfig, sample
from tests.support.language_models import distinct_model
from training.seeding import generator


def test_they_are_those_with_which_the_tokens_were_drawn() -> None:
    model = distinct_model()
    drawn = sample(model, [[30, 31], [40], [50, 51, 52]], generator(1), SamplingConfig(max_tokens=6))
    log_prob, entropy = token_log_probs(model, drawn.tokens)
    torch.testing.assert_close(log_prob * drawn.is_completion, drawn.log_prob, rtol=1e-4, atol=1e-5)
    assert (log_prob[:, 0] == 0).all()
    assert (entropy[:, 1:] > 0).all()
    whole = sequence_log_probs(model, drawn.tokens, drawn.is_completion)
    torch.testing.assert_close(whole, drawn.log_prob.sum(1), rtol=1e-4, atol=1e-5)
    held = reference_log_probs(model, drawn.tokens)
    assert torch.equal(held, log_prob)
    assert not held.requires_grad
