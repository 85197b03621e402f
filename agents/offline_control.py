"""What the actor-critic algorithms share that learn from a dataset: their config, and replay of it as the stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from gymnasium import Space

from agents import offline
from agents.actor import Actor, ActorConfig
from agents.dataset_replay import DatasetReplay
from agents.offline import OfflineConfig
from envs.episodes import Episodes
from training.core import Algorithm, Budget, Stream
from training.run import Run
from training.seeding import generator


class MakeAgent(Protocol):
    """The class of an algorithm that learns from transitions of a dataset."""

    def __call__(self, policy: Actor, config: Any, /, *, until: Budget, seed: int) -> Algorithm: ...


@dataclass(frozen=True, kw_only=True)
class OfflineControlConfig(OfflineConfig):
    """From which data to learn, with what policy."""

    policy: ActorConfig = ActorConfig()


def train(config: OfflineControlConfig, run: Run, make_agent: MakeAgent) -> None:
    """One run of an offline actor-critic algorithm."""

    def make_policy(observation_space: Space[Any], action_space: Space[Any]) -> Actor:
        return Actor(observation_space, action_space, config.policy, generator(config.seed, "weights"))

    def make_parts(episodes: Episodes, policy: Actor, agent_config: Any, until: Budget) -> tuple[Algorithm, Stream]:
        agent = make_agent(policy, agent_config, until=until, seed=config.seed)
        gamma, size = agent_config.gamma, agent_config.batch_size
        return agent, DatasetReplay(episodes, policy, size, gamma=gamma, seed=config.seed)

    offline.train(config, run, make_policy, make_parts)
