"""Small recordings for the tests of what learns from datasets."""

from __future__ import annotations

from agents.actor_critic import ActorCritic, ActorCriticConfig
from agents.recording import record
from envs.config import EnvConfig
from envs.episodes import Episodes
from envs.making import make_env
from training.networks import NetworkConfig
from training.seeding import generator

SMALL = ActorCriticConfig(network=NetworkConfig(hidden=(8,), cnn="small"))


def make_policy(env: EnvConfig, config: ActorCriticConfig = SMALL) -> ActorCritic:
    """A policy that has learned nothing."""
    made = make_env(env)
    return ActorCritic(made.observation_space, made.action_space, config, generator(1))


def record_random(env: EnvConfig, episodes: int, seed: int = 1) -> tuple[Episodes, list[int]]:
    """Episodes of a policy that acts at random, and the seed of each."""
    return record(make_policy(env), env, episodes, mode="random", seed=seed)
