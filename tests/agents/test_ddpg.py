"""DDPG: one update of critic and actor against plain gradients."""

from __future__ import annotations

from dataclasses import replace

from agents.ddpg import DDPG, DDPGConfig
from tests.support.cases import OffPolicyCase
from tests.support.off_policy import ACTOR, BOTH, REPLAY, SHORT_REPLAY
from tests.support.transitions import BY_SGD, DETERMINISTIC, critics_then_actor, make_actor, make_batch
from training.core import Budget

CASES = {
    "ddpg": OffPolicyCase(
        algorithm=DDPG,
        config=DDPGConfig(tau=0.05, **BOTH),
        policy=replace(ACTOR, distribution="deterministic", noise_kind="ornstein_uhlenbeck"),
        replay=REPLAY,
        continuous=True,
    ),
}
RESUMED = {"ddpg_pendulum": SHORT_REPLAY}


def test_ddpgs_critic_learns_from_the_target_and_its_actor_climbs_the_critic() -> None:
    agent = DDPG(make_actor(DETERMINISTIC), DDPGConfig(**BY_SGD), until=Budget(9), seed=1, minibatch_size=6)
    batch = make_batch(discrete=False)
    critics_then_actor(agent, batch, members=1, actor_loss=lambda _, value: -value.mean())
