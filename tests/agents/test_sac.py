"""SAC: one update of critics, actor and temperature against plain gradients."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import torch

from agents.sac import SAC, SACConfig
from tests.support.cases import OffPolicyCase
from tests.support.off_policy import ACTOR, BOTH, COLD, REPLAY, SHORT_REPLAY
from tests.support.transitions import BY_SGD, descend, make_actor, make_batch, spread
from training.core import Budget, Counters
from training.seeding import generator

CASES = {
    "sac": OffPolicyCase(
        algorithm=SAC, config=SACConfig(tau=0.05, **BOTH), policy=ACTOR, replay=REPLAY, continuous=True, endless=COLD
    ),
    "sac-state-dependent": OffPolicyCase(
        algorithm=SAC,
        config=SACConfig(tau=0.05, **BOTH),
        policy=replace(ACTOR, distribution="state_dependent"),
        replay=REPLAY,
        continuous=True,
        endless=COLD,
    ),
}
RESUMED = {
    "sac_pendulum": [*SHORT_REPLAY, "--policy.distribution", "state_dependent"],
    "sac_pendulum-data": [*SHORT_REPLAY, "--dataset", "tiny/pendulum-v0"],
    # Somebody's own network, with batch normalization, whose statistics the targets follow, and dropout.
    "sac_pendulum-own": [
        *SHORT_REPLAY,
        *("--policy.network.module", "tests.support.networks:Noisy"),
        *("--agent.critic-network.module", "tests.support.networks:Noisy"),
    ],
    "her_reach": SHORT_REPLAY,
    # Ray workers.
    "sac_pendulum-workers": [*SHORT_REPLAY, "--num-envs", "4", "--workers", "2"],
}


def test_an_update_is_a_plain_step_of_the_critics_and_then_of_actor_and_temperature() -> None:
    """By SGD, with a target that differs from what learns."""
    config = SACConfig(**BY_SGD, initial_temperature=0.3, target_entropy=-1.5, tau=1.0)
    agent, batch = SAC(make_actor(), config, until=Budget(9), seed=1, minibatch_size=6), make_batch(discrete=False)
    policy, critics = agent.policy, agent.critics
    target = copy.deepcopy(critics)
    spread(critics)
    expected_policy, expected_critics = copy.deepcopy((policy, critics))
    agent.update(dict(batch), Counters())
    noise, next_noise = torch.randn(2, 6, 2, generator=generator(1, "learning"))
    obs, next_obs = {"obs": batch["obs"]}, {"obs": batch["next_obs"]}
    with torch.no_grad():
        next_action, log_prob = expected_policy.reparametrized(next_obs, next_noise)
        soft = target(next_obs, next_action).squeeze(-1).amin(0) - 0.3 * log_prob
        goal = batch["reward"] + batch["discount"] * soft
    values = expected_critics(obs, batch["action"]).squeeze(-1)
    descend(expected_critics, sum(0.5 * (one - goal).square().mean() for one in values))
    action, log_prob = expected_policy.reparametrized(obs, noise)
    value = expected_critics(obs, action).squeeze(-1).amin(0)
    descend(expected_policy, (0.3 * log_prob - value).mean())
    for found, expected in ((critics, expected_critics), (policy, expected_policy), (agent.target, expected_critics)):
        torch.testing.assert_close(found.state_dict(), expected.state_dict())
    entropy = -log_prob.detach().mean()
    log_temperature = math.log(0.3) - 0.1 * 0.3 * (entropy + 1.5)  # down the gradient of equation 18
    torch.testing.assert_close(agent.parts["temperature"].log.detach(), log_temperature)
