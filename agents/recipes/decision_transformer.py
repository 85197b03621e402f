"""What every experiment with the Decision Transformer shares: its config, and windows of a dataset as the stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gymnasium import Space

from agents.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from agents.policies.decision_transformer import DecisionTransformerPolicy, DecisionTransformerPolicyConfig
from agents.recipes import offline
from agents.recipes.offline import OfflineConfig
from agents.replay.windows import Windows
from envs.episodes.episodes import Episodes
from training.core import Budget, Stream
from training.run.run import Run
from training.seeding import generator


@dataclass(frozen=True, kw_only=True)
class DecisionTransformerRunConfig(OfflineConfig):
    """What to learn from, with what policy."""

    agent: DecisionTransformerConfig = DecisionTransformerConfig()
    policy: DecisionTransformerPolicyConfig = DecisionTransformerPolicyConfig()


def train(config: DecisionTransformerRunConfig, run: Run) -> None:
    """One run of the Decision Transformer."""

    def make_policy(observation_space: Space[Any], action_space: Space[Any]) -> DecisionTransformerPolicy:
        return DecisionTransformerPolicy(
            observation_space, action_space, config.policy, generator(config.seed, "weights")
        )

    def make_parts(
        episodes: Episodes, policy: DecisionTransformerPolicy, agent: DecisionTransformerConfig, until: Budget
    ) -> tuple[DecisionTransformer, Stream]:
        stream = Windows(episodes, config.policy, agent.minibatch_size, config.seed)
        return DecisionTransformer(policy, agent, until=until), stream

    offline.train(config, run, make_policy, make_parts)
