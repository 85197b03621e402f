"""TD3: the critics learn from smoothed targets, and the actor and the targets move later than they do."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from agents.td3 import TD3, TD3Config
from tests.support.cases import OffPolicyCase
from tests.support.off_policy import ACTOR, BOTH, REPLAY, SHORT_REPLAY
from tests.support.transitions import BY_SGD, DETERMINISTIC, critics_then_actor, make_actor, make_batch
from training.core import Budget, Counters

CASES = {
    # What an endless episode is worth needs a faster target: it moves every second time only.
    "td3": OffPolicyCase(
        algorithm=TD3,
        config=TD3Config(tau=0.05, **BOTH),
        policy=replace(ACTOR, distribution="deterministic"),
        replay=REPLAY,
        continuous=True,
        endless={"tau": 0.1},
    ),
}
RESUMED = {"td3_pendulum": SHORT_REPLAY}


def test_an_update_without_noise_or_delay_is_two_plain_steps() -> None:
    config = TD3Config(**BY_SGD, policy_delay=1, smoothing_std=0.0)
    agent = TD3(make_actor(DETERMINISTIC), config, until=Budget(9), seed=1, minibatch_size=6)
    batch = make_batch(discrete=False)
    critics_then_actor(agent, batch, members=2, actor_loss=lambda _, value: -value.mean())


def test_the_actor_and_the_targets_move_every_second_time() -> None:
    config = TD3Config(**BY_SGD, policy_delay=2)
    agent = TD3(make_actor(DETERMINISTIC), config, until=Budget(9), seed=1, minibatch_size=6)
    modules = (agent.critics, agent.policy, agent.parts["target"], agent.parts["target_policy"])
    moved = []
    for _ in range(4):
        before = [copy.deepcopy(module.state_dict()) for module in modules]
        agent.update(make_batch(discrete=False), Counters())
        moved.append(
            [
                any(not torch.equal(value, old[key]) for key, value in module.state_dict().items())
                for module, old in zip(modules, before, strict=True)
            ]
        )
    assert moved == [[True, False, False, False], [True] * 4] * 2
