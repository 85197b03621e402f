"""CrossQ: one update against plain gradients, whose statistics are of which batch, and what it refuses."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from agents.crossq import CrossQ, CrossQConfig
from agents.policies.actor import ActorConfig
from agents.sac import SAC, SACConfig
from tests.support.cases import OffPolicyCase
from tests.support.off_policy import ACTOR, BOTH, COLD, REPLAY, SHORT_REPLAY
from tests.support.transitions import BY_SGD, NETWORK, SGD, descend, make_actor, make_batch, spread
from training.core import Budget, Counters
from training.errors import UserError
from training.seeding import generator

CASES = {
    "crossq": OffPolicyCase(
        algorithm=CrossQ,
        config=CrossQConfig(**BOTH),
        policy=replace(ACTOR, renormalized=True),
        replay=REPLAY,
        continuous=True,
        endless=COLD,
    ),
}
RESUMED = {"crossq": [*SHORT_REPLAY, "--env.id", "Pendulum-v1", "--preset", "default"]}
RENORMALIZED = ActorConfig(network=NETWORK, renormalized=True)


def make_agent(**changes: object) -> CrossQ:
    config = CrossQConfig(**{**BY_SGD, "initial_temperature": 0.3, "target_entropy": -1.5, **changes})
    return CrossQ(make_actor(RENORMALIZED), config, until=Budget(9), seed=1, minibatch_size=6)


def test_an_update_is_a_plain_step_of_critics_that_see_both_steps_at_once_and_then_of_the_actor() -> None:
    agent, batch = make_agent(policy_delay=1), make_batch(discrete=False)
    policy, critics = agent.policy, agent.critics
    spread(critics)
    expected_policy, expected_critics = copy.deepcopy((policy, critics))
    agent.update(dict(batch), Counters())
    noise, next_noise = torch.randn(2, 6, 2, generator=generator(1, "learning"))
    obs, next_obs = {"obs": batch["obs"]}, {"obs": batch["next_obs"]}
    with torch.no_grad():  # by the running statistics of the actor
        next_action, log_prob = expected_policy.reparametrized(next_obs, next_noise)
    both = torch.cat([batch["obs"], batch["next_obs"]])
    values = expected_critics({"obs": both}, torch.cat([batch["action"], next_action]), learns=True).squeeze(-1)
    soft = values[:, 6:].amin(0) - 0.3 * log_prob
    goal = (batch["reward"] + batch["discount"] * soft).detach()
    descend(expected_critics, sum(0.5 * (one - goal).square().mean() for one in values[:, :6]))
    action, log_prob = expected_policy.reparametrized(obs, noise)  # by those of the batch
    value = expected_critics(obs, action).squeeze(-1).amin(0)  # by the running ones
    descend(expected_policy, (0.3 * log_prob - value).mean())
    for found, expected in ((critics, expected_critics), (policy, expected_policy)):
        torch.testing.assert_close(found.state_dict(), expected.state_dict())


def test_the_actor_learns_in_every_third_gradient_step_and_only_then_are_its_statistics_moved() -> None:
    agent, batch = make_agent(), make_batch(discrete=False)
    norm, critic = agent.policy.trunk[0], agent.critics.ensemble.norms[0]
    steps = []
    for _ in range(6):
        agent.update(dict(batch), Counters())
        steps.append((int(norm.steps), int(critic.steps)))
    assert steps == [(0, 1), (0, 2), (1, 3), (1, 4), (1, 5), (2, 6)]


def test_what_it_acts_with_is_saved() -> None:
    agent, batch = make_agent(policy_delay=1), make_batch(discrete=False)
    for _ in range(3):
        agent.update(dict(batch), Counters())
    other = make_agent(policy_delay=1)
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    obs = batch["obs"][0].numpy()
    assert (other.policy.predict(obs) == agent.policy.predict(obs)).all()
    other.update(dict(batch), Counters())
    agent.update(dict(batch), Counters())
    torch.testing.assert_close(other.critics.state_dict(), agent.critics.state_dict(), rtol=0, atol=0)


def test_an_actor_with_other_layers_is_refused_here_and_one_with_these_elsewhere() -> None:
    with pytest.raises(UserError, match=r"policy.renormalized = False: it takes True with CrossQ"):
        CrossQ(make_actor(), CrossQConfig(), until=Budget(9), seed=1, minibatch_size=6)
    with pytest.raises(UserError, match=r"policy.renormalized = True: it takes False with SAC"):
        SAC(make_actor(RENORMALIZED), SACConfig(), until=Budget(9), seed=1, minibatch_size=6)


def test_micro_batches_are_refused() -> None:
    """Each would have statistics of its own."""
    with pytest.raises(UserError, match="micro_batches = 2"):
        make_agent(critic_optimizer=replace(SGD, micro_batches=2))


def test_a_delay_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="policy_delay = 0: it takes at least 1"):
        CrossQConfig(policy_delay=0)
