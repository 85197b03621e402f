"""TQC: the largest quantiles of all critics are dropped together."""

from __future__ import annotations

import pytest
import torch

from agents.tqc import TQC, TQCConfig, truncated_target
from agents.updates.critics import Critics
from tests.support.cases import OffPolicyCase
from tests.support.off_policy import ACTOR, BOTH, COLD, REPLAY, SHORT_REPLAY
from tests.support.transitions import NETWORK, make_actor, make_batch, spread
from training.seeding import generator

CASES = {
    "tqc": OffPolicyCase(
        algorithm=TQC,
        config=TQCConfig(tau=0.05, critics=2, quantiles=9, **BOTH),
        policy=ACTOR,
        replay=REPLAY,
        continuous=True,
        endless=COLD,
    ),
}
RESUMED = {"tqc_pendulum": SHORT_REPLAY}


def test_it_drops_the_largest_of_all_critics_quantiles_together() -> None:
    policy, batch = make_actor(), make_batch(discrete=False)
    critics = spread(Critics(policy, NETWORK, generator(6), members=2, outputs=4))
    found = truncated_target(policy, critics, torch.tensor(0.3), 6, batch)
    action, log_prob = policy.reparametrized({"obs": batch["next_obs"]}, batch["next_noise"])
    quantiles = critics({"obs": batch["next_obs"]}, action)
    for row in range(6):
        kept = sorted(quantiles[:, row].flatten().tolist())[:6]
        expected = [
            float(batch["reward"][row] + batch["discount"][row] * (q - 0.3 * float(log_prob[row]))) for q in kept
        ]
        assert found[row].tolist() == pytest.approx(expected, abs=1e-5)
