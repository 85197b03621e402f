"""Behaviour cloning: it does what it was shown, by the likelihood of the actions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.acting.evaluation import play
from agents.bc import BC, BCConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.saved import policy_of
from agents.recipes.cloning import samples
from envs.config import EnvConfig
from envs.episodes.episodes import Episodes
from envs.making import make_vec
from tests.support.recorded import record_random
from training.core import Budget, Counters
from training.data.streams import Shuffled
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.seeding import generator

SMALL = ActorCriticConfig(network=NetworkConfig(hidden=(32,)))
PENDULUM = EnvConfig("Pendulum-v1")


def repeated(kind: str, episodes: int = 60) -> tuple[EnvConfig, Episodes]:
    """Episodes of who always gives the right answer in the identity environment."""
    env = EnvConfig("tests.support.learning_envs:Identity-v0", kwargs={"kind": kind})
    recorded, _ = record_random(env, episodes)
    seen = {key: value[recorded.obs_rows] for key, value in recorded.obs.items()}
    if kind == "dict":
        action = {"action/a": seen["obs/a"], "action/b": (seen["obs/b"][:, 0] > 0).astype(np.int64)}
    else:
        action = {"action": seen["obs"]}
    return env, replace(recorded, action=action)


@pytest.mark.parametrize(
    ("kind", "at_least", "squash"),
    [
        ("discrete", 9.9, False),
        ("multi_discrete", 9.9, False),
        ("multi_binary", 9.9, False),
        ("box", -0.1, False),
        ("box", -0.1, True),
        ("dict", 9.5, False),
    ],
)
def test_it_does_what_it_was_shown(kind: str, at_least: float, squash: bool) -> None:
    env, episodes = repeated(kind)
    policy = ActorCritic(
        episodes.observation_space, episodes.action_space, replace(SMALL, squash=squash), generator(1, "weights")
    )
    until, now = Budget(60, "epochs"), Counters()
    optimizer = OptimizerConfig(learning_rate=1e-2, schedule=Schedule("linear"))
    agent = BC(policy, BCConfig(minibatch_size=64, optimizer=optimizer), until=until)
    stream = Shuffled(samples(replace(episodes, action=policy.learned_action(episodes.action))), 64, seed=1)
    critic = [weight.clone() for weight in policy.critic.parameters()]
    while not until.reached(now):
        batch, after, _ = stream.next(now)
        agent.update(batch, now)
        now = after.advance(updates=1)
    returns, _ = play(make_vec(env, 10, seed=99), policy_of(agent.state_dict()), 2, mode="greedy", rng=generator(0))
    assert returns.mean() >= at_least
    assert all(torch.equal(a, b) for a, b in zip(critic, policy.critic.parameters(), strict=True))
