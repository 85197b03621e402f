"""QR-DQN: its targets are the quantiles of the best next action."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from agents.qr_dqn import QRDQN, QRDQNConfig, qr_dqn_target
from tests.support.cases import OffPolicyCase
from tests.support.off_policy import EXPLORING, REPLAY, VALUE, Q
from tests.support.transitions import KINDS, make_batch, make_q

CASES = {
    "qr_dqn": OffPolicyCase(
        algorithm=QRDQN,
        config=QRDQNConfig(**VALUE),
        policy=replace(Q, distribution="quantile", atoms=11),
        replay=REPLAY,
        continuous=False,
        tabular=EXPLORING,
    ),
}
RESUMED = {"qr_dqn_cartpole": ["--replay.gradient-steps", "8"]}


@pytest.mark.parametrize("double", [False, True])
def test_the_target_is_that_of_the_best_mean(double: bool) -> None:
    config = KINDS["quantile"]
    policy, target, batch = make_q(config, 1), make_q(config, 2), make_batch(discrete=True)
    chooser = policy if double else target
    best = chooser.values(chooser(batch, "next_")).argmax(-1)
    own = target(batch, "next_")[torch.arange(6), best]
    expected = batch["reward"][:, None] + batch["discount"][:, None] * own
    torch.testing.assert_close(qr_dqn_target(policy, target, batch, double=double), expected)
    assert not qr_dqn_target(policy, target, batch, double=double).requires_grad
