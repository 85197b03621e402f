"""C51: the projection and the targets, against loops."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from agents.c51 import C51, C51Config, c51_target, project
from tests.support.cases import OffPolicyCase
from tests.support.off_policy import EXPLORING, RAINBOW, REPLAY, SHORT_REPLAY, VALUE, Q
from tests.support.transitions import KINDS, make_batch, make_q
from training.seeding import generator

CATEGORICAL = replace(Q, distribution="categorical", atoms=51, value_range=(-10.0, 20.0))
CASES = {
    "c51": OffPolicyCase(
        algorithm=C51, config=C51Config(**VALUE), policy=CATEGORICAL, replay=REPLAY, continuous=False, tabular=EXPLORING
    ),
    "rainbow": OffPolicyCase(
        algorithm=C51,
        config=C51Config(double=True, **VALUE),
        policy=replace(CATEGORICAL, dueling=True, noisy_std=0.5),
        replay=RAINBOW,
        continuous=False,
        tabular=EXPLORING,
    ),
}
RESUMED = {
    "c51_cartpole": ["--replay.gradient-steps", "8"],
    # Priorities with noisy networks.
    "rainbow_cartpole": [*SHORT_REPLAY, "--replay.capacity", "2000"],
}


def test_the_projection_is_algorithm_1_of_the_paper() -> None:
    """Bellemare et al. 2017: each probability goes to the two atoms next to its place, by nearness."""
    rng, support = generator(2), torch.linspace(-3, 5, 9)
    probability = torch.rand(4, 9, generator=rng).softmax(-1)
    returns = (torch.randn(4, 9, generator=rng) * 4).clamp(-3, 5)
    expected = torch.zeros(4, 9)
    for row in range(4):
        for atom in range(9):
            place = float(returns[row, atom] - support[0]) / float(support[1] - support[0])
            low, high = math.floor(place), math.ceil(place)
            if low == high:
                expected[row, low] += probability[row, atom]
            else:
                expected[row, low] += probability[row, atom] * (high - place)
                expected[row, high] += probability[row, atom] * (place - low)
    found = project(returns, probability, support)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.sum(-1), torch.ones(4))
    torch.testing.assert_close((found * support).sum(-1), (probability * returns).sum(-1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("double", [False, True])
def test_the_target_is_that_of_the_best_mean(double: bool) -> None:
    config = KINDS["categorical"]
    policy, target, batch = make_q(config, 1), make_q(config, 2), make_batch(discrete=True)
    chooser = policy if double else target
    best = chooser.values(chooser(batch, "next_")).argmax(-1)
    own = target(batch, "next_")[torch.arange(6), best]
    moved = batch["reward"][:, None] + batch["discount"][:, None] * policy.support
    expected = project(moved.clamp(-3, 5), own.softmax(-1), policy.support)
    torch.testing.assert_close(c51_target(policy, target, batch, double=double), expected)
    assert not c51_target(policy, target, batch, double=double).requires_grad
