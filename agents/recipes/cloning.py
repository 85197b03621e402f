"""What every experiment with behaviour cloning shares: its config, and the steps of a dataset as the stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gymnasium import Space

from agents.bc import BC, BCConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.recipes import offline
from agents.recipes.offline import OfflineConfig
from envs.episodes.episodes import Episodes
from training.core import Batch, Budget, Stream
from training.data.streams import Shuffled
from training.run.run import Run
from training.seeding import generator


@dataclass(frozen=True, kw_only=True)
class BCRunConfig(OfflineConfig):
    """What to clone, with what policy."""

    agent: BCConfig = BCConfig()
    policy: ActorCriticConfig = ActorCriticConfig()


def train(config: BCRunConfig, run: Run) -> None:
    """One run of behaviour cloning."""

    def make_policy(observation_space: Space[Any], action_space: Space[Any]) -> ActorCritic:
        return ActorCritic(observation_space, action_space, config.policy, generator(config.seed, "weights"))

    def make_parts(episodes: Episodes, policy: ActorCritic, agent: BCConfig, until: Budget) -> tuple[BC, Stream]:
        return BC(policy, agent, until=until), Shuffled(samples(episodes), agent.minibatch_size, seed=config.seed)

    offline.train(config, run, make_policy, make_parts, select=lambda episodes: episodes.top(config.agent.top_fraction))


def samples(episodes: Episodes) -> Batch:
    """Every step [S, ...]: what was seen, and what was done."""
    return {key: value for key, value in episodes.samples().items() if key.split("/")[0] in ("obs", "action")}
