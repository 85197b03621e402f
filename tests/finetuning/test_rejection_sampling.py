"""Rejection sampling: only what was right is learned, each of its tokens alike."""

from __future__ import annotations

import torch

from finetuning.language.log_probs import token_log_probs
from finetuning.rejection_sampling import RejectionSampling, RejectionSamplingConfig, likelihood_loss
from tests.finetuning.test_grpo import UNTIL, stream_of
from tests.support.language_models import speller
from training.core import Counters
from training.optimizer import OptimizerConfig


def test_the_loss_is_the_mean_over_the_tokens_of_what_was_right() -> None:
    model = speller()
    batch, _, _ = stream_of(model).next(Counters())
    accepted = batch["reward"] == 1.0
    assert accepted.any()
    assert not accepted.all()
    log_prob, _ = token_log_probs(model, batch["tokens"][accepted])
    loss = likelihood_loss(log_prob, batch["is_completion"][accepted])
    torch.testing.assert_close(loss.sum, -batch["log_prob"][accepted].sum(), rtol=1e-4, atol=1e-4)
    assert loss.count == batch["is_completion"][accepted].sum()
    moved = []
    for rejected in (5, 17):  # what is rejected has no part in it
        model = speller()
        config = RejectionSamplingConfig(optimizer=OptimizerConfig("sgd", learning_rate=0.1))
        changed = {**batch, "tokens": batch["tokens"].clone()}
        changed["tokens"][~accepted] = rejected
        RejectionSampling(model, config, until=UNTIL, measure=lambda *_: {}).update(changed, Counters())
        moved.append(model.embedding.weight.detach().clone())
    assert torch.equal(*moved)
    assert not torch.equal(moved[0], speller().embedding.weight)


def test_where_nothing_was_right_nothing_is_learned() -> None:
    model = speller()
    batch, _, _ = stream_of(model).next(Counters())
    batch["reward"] = torch.zeros_like(batch["reward"])
    before = model.embedding.weight.detach().clone()
    algorithm = RejectionSampling(model, RejectionSamplingConfig(), until=UNTIL, measure=lambda *_: {})
    metrics, _ = algorithm.update(batch, Counters())
    assert metrics["learner/accepted_fraction"].value == 0.0
    assert torch.equal(before, model.embedding.weight)


def test_it_learns_what_is_rewarded() -> None:
    model = speller()
    stream, now, rewards = stream_of(model), Counters(), []
    config = RejectionSamplingConfig(optimizer=OptimizerConfig(learning_rate=1e-2))
    algorithm = RejectionSampling(model, config, until=UNTIL, measure=lambda *_: {})
    for _ in range(40):
        batch, now, _ = stream.next(now)
        algorithm.update(batch, now)
        rewards.append(float(batch["reward"].mean()))
    assert rewards[0] < 0.7
    assert sum(rewards[-5:]) / 5 > 0.9
