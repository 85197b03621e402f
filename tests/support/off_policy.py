"""Off-policy learning without the folder of a run: small settings that cases share, and updates one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agents.acting.collector import Group, LocalCollector
from agents.policies.actor import Actor, ActorConfig
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.replay.replay import Replay, ReplayConfig
from agents.updates.q_learning import EpsilonConfig
from envs.config import EnvConfig
from envs.making import make_vec
from tests.support.cases import OffPolicyCase
from training.core import Budget, Counters
from training.metrics import Metrics
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.optimizer.config import with_compile
from training.seeding import generator

NETWORK = NetworkConfig(hidden=(32,), activation="relu", cnn="small")
FAST = OptimizerConfig(learning_rate=5e-3, schedule=Schedule("linear"))
Q = QNetworkConfig(network=NETWORK)
ACTOR = ActorConfig(network=NETWORK)
REPLAY = ReplayConfig(capacity=5_000, warmup_env_steps=200, horizon=4, gradient_steps=4, minibatch_size=64)
RAINBOW = replace(REPLAY, n_step=3, priority_exponent=0.5)
VALUE: dict[str, Any] = {
    "gamma": 0.5,
    "target_gradient_steps": 20,
    "epsilon": EpsilonConfig(final=0.1, fraction=0.5),
    "optimizer": FAST,
}
"""Of an algorithm with values alone."""
BOTH: dict[str, Any] = {"gamma": 0.5, "actor_optimizer": FAST, "critic_optimizer": FAST, "critic_network": NETWORK}
"""Of one with an actor and critics."""
EXPLORING: dict[str, Any] = {"epsilon": EpsilonConfig(final=0.3, fraction=0.1)}
"""Every action is tried in every state to the end."""
COLD: dict[str, Any] = {"initial_temperature": 1e-4, "target_entropy": -50.0}
"""Entropy, which the values count too, is worth next to nothing."""
SHORT_REPLAY = ["--replay.horizon", "16", "--replay.minibatch-size", "32"]
"""Options of short runs."""


class Training:
    """A run without folder: the same loop as `fit`, step by step."""

    def __init__(
        self,
        case: OffPolicyCase,
        env: EnvConfig,
        *,
        num_envs: int = 4,
        env_steps: int = 6_000,
        compiled: bool = False,
        device: str = "cpu",
        **changes: Any,
    ) -> None:
        config, replay = with_compile(replace(case.config, **changes), compiled), case.replay
        self.until = Budget(env_steps)
        self.collector = LocalCollector(lambda index: Group(make_vec(env, num_envs, seed=3), seed=1, index=index))
        spaces = self.collector.observation_space, self.collector.action_space
        kind = QNetwork if isinstance(case.policy, QNetworkConfig) else Actor
        self.policy = kind(*spaces, case.policy, generator(1, "weights")).to(device)
        self.agent = case.algorithm(self.policy, config, until=self.until, seed=1, minibatch_size=replay.minibatch_size)
        self.replay = Replay(self.collector, self.policy, replay, gamma=config.gamma, until=self.until, seed=1)
        self.now = Counters()

    def update(self) -> Metrics:
        batch, after, _ = self.replay.next(self.now)
        metrics, feedback = self.agent.update(batch, self.now)
        self.replay.learned(feedback)
        self.now = after.advance(updates=1)
        return metrics

    def run(self) -> Metrics:
        metrics: Metrics = {}
        while not self.until.reached(self.now):
            metrics = self.update()
        return metrics


def identity(case: OffPolicyCase) -> EnvConfig:
    """Where it repeats what it sees."""
    kind = "box" if case.continuous else "discrete"
    return EnvConfig("tests.support.learning_envs:Identity-v0", kwargs={"kind": kind})


def classic(case: OffPolicyCase) -> EnvConfig:
    """A classic task with the actions that it takes."""
    return EnvConfig("Pendulum-v1" if case.continuous else "CartPole-v1")
