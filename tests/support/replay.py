"""Replay that is filled by acting, in an environment whose transitions tell what they must be."""

from __future__ import annotations

from agents.acting.collector import Group, LocalCollector
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.replay.replay import Replay, ReplayConfig
from envs.config import EnvConfig
from envs.making import make_vec
from training.core import Batch, Budget, Counters
from training.networks import NetworkConfig
from training.seeding import generator

COUNTING = EnvConfig("tests.support.learning_envs:CountingEpisodes-v0")
"""Episodes of 3, 4, 5, 3, ... steps, every second one truncated; it observes (step, episode), reward is the step."""
SHORT = EnvConfig("CartPole-v1", time_limit=7)


class Stream:
    """A buffer that is filled by acting."""

    def __init__(
        self,
        env: EnvConfig,
        config: ReplayConfig,
        num_envs: int = 3,
        gamma: float = 0.5,
        *,
        normalize_observation: bool = False,
    ) -> None:
        self.collector = LocalCollector(lambda index: Group(make_vec(env, num_envs, seed=3), seed=1, index=index))
        shape = NetworkConfig(hidden=(8,), activation="relu")
        network = QNetworkConfig(shape, normalize_observation=normalize_observation)
        self.policy = QNetwork(self.collector.observation_space, self.collector.action_space, network, generator(1))
        until = Budget(1_000)
        self.replay = Replay(self.collector, self.policy, config, gamma=gamma, until=until, seed=1)
        self.now = Counters()

    def next(self) -> Batch:
        batch, self.now, _ = self.replay.next(self.now)
        return batch


def episode_length(episode: float) -> int:
    return 3 + int(episode) % 3
