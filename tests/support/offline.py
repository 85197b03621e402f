"""Learning from a dataset without the folder of a run: small settings that cases share, and updates one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agents.policies.actor import Actor, ActorConfig
from agents.recipes.offline_actor_critic import DatasetReplay
from envs.config import EnvConfig
from tests.support.cases import OfflineCase
from tests.support.recorded import record_random
from training.core import Budget, Counters
from training.metrics import Metrics
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.optimizer.config import with_compile
from training.seeding import generator

IDENTITY = EnvConfig("tests.support.learning_envs:Identity-v0", kwargs={"kind": "box"})
NETWORK = NetworkConfig(hidden=(32,), activation="relu")
FAST = OptimizerConfig(learning_rate=5e-3)
ACTOR = ActorConfig(network=NETWORK)
SHARED: dict[str, Any] = {
    "minibatch_size": 64,
    "gamma": 0.5,
    "tau": 0.05,
    "critic_network": NETWORK,
    "actor_optimizer": FAST,
    "critic_optimizer": FAST,
}


class Training:
    """A run without folder."""

    def __init__(
        self, case: OfflineCase, env: EnvConfig = IDENTITY, *, episodes: int = 100, compiled: bool = False
    ) -> None:
        self.episodes, _ = record_random(env, episodes)
        spaces = self.episodes.observation_space, self.episodes.action_space
        self.until, self.now = Budget(60, "epochs"), Counters()
        self.policy = Actor(*spaces, case.policy, generator(1, "weights"))
        self.agent = case.algorithm(self.policy, with_compile(case.config, compiled), until=self.until, seed=1)
        learned = replace(self.episodes, action=self.policy.learned_action(self.episodes.action))
        self.stream = DatasetReplay(learned, 64, gamma=case.config.gamma, seed=1)

    def update(self) -> Metrics:
        batch, after, _ = self.stream.next(self.now)
        metrics, feedback = self.agent.update(batch, self.now)
        self.stream.learned(feedback)
        self.now = after.advance(updates=1)
        return metrics
