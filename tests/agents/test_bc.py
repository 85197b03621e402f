"""Behaviour cloning: the loss, in the terms of the policy."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.distributions import Normal

from agents.bc import bc_loss
from agents.policies.actor_critic import ActorCritic
from agents.recipes.cloning import samples
from envs.config import EnvConfig
from tests.support.on_policy import SMALL
from tests.support.recorded import record_random
from training.seeding import generator

ELSEWHERE = "tests/suites/test_offline.py: it clones demonstrations of every kind of action, and has no critics"
# An epoch ends with a smaller minibatch.
RESUMED = {"bc_pendulum": ["--epochs", "12", "--agent.minibatch-size", "48"]}
PENDULUM = EnvConfig("Pendulum-v1")


def test_the_loss_is_the_negative_log_likelihood_of_the_rescaled_actions() -> None:
    """Pendulum's torque goes from -2 to 2, of which the policy learns -1 to 1."""
    episodes, _ = record_random(PENDULUM, 2)
    policy = ActorCritic(
        episodes.observation_space, episodes.action_space, replace(SMALL, initial_log_std=-0.5), generator(1)
    )
    batch = samples(replace(episodes, action=policy.learned_action(episodes.action)))
    assert set(batch) == {"obs", "action"}
    assert torch.allclose(batch["action"], torch.from_numpy(episodes.action["action"]) / 2)
    loss = bc_loss(policy, batch)
    mean = policy.actor(policy.actor_encoder({"obs": torch.from_numpy(episodes.obs["obs"][episodes.obs_rows])}))
    expected = -Normal(mean, torch.tensor(-0.5).exp()).log_prob(torch.from_numpy(episodes.action["action"]) / 2)
    assert loss.count == 400
    torch.testing.assert_close(loss.sum, expected.sum())
    torch.testing.assert_close(torch.as_tensor(loss.metrics["policy/log_prob"].value), -expected.mean())
