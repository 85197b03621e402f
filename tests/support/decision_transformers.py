"""A small Decision Transformer whose every token matters, and windows of episodes for it."""

from __future__ import annotations

import torch

from agents.policies.decision_transformer import DecisionTransformerPolicy, DecisionTransformerPolicyConfig
from agents.replay.windows import Windows
from envs.config import EnvConfig
from envs.episodes.episodes import Episodes
from envs.making import make_env
from training.networks.transformer import TransformerConfig
from training.seeding import generator

COUNTING = EnvConfig("tests.support.learning_envs:CountingEpisodes-v0")
SMALL = DecisionTransformerPolicyConfig(
    transformer=TransformerConfig(width=16, layers=2, heads=2),
    context=3,
    target_return=7.0,
    return_scale=10.0,
    max_episode_steps=20,
)


def windows(episodes: Episodes, minibatch_size: int, config: DecisionTransformerPolicyConfig = SMALL) -> Windows:
    return Windows(episodes, config, minibatch_size, seed=1)


def make_policy(env: EnvConfig, config: DecisionTransformerPolicyConfig = SMALL) -> DecisionTransformerPolicy:
    made = make_env(env)
    policy = DecisionTransformerPolicy(made.observation_space, made.action_space, config, generator(1, "weights"))
    with torch.no_grad():
        for weight in policy.parameters():  # so large that every token matters to the actions
            weight.add_(0.3 * torch.randn(weight.shape, generator=generator(2)))
    return policy
