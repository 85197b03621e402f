"""On-policy learning without the folder of a run: rollouts, a small policy, and updates one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agents.acting.collector import LocalCollector
from agents.acting.rollouts import Rollouts
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.policies.recurrent_actor_critic import RecurrentActorCritic, RecurrentActorCriticConfig
from envs.config import EnvConfig
from tests.support.cases import OnPolicyCase
from tests.support.collectors import make_collector
from training.core import Budget, Counters
from training.metrics import Metrics
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.optimizer.config import with_compile
from training.seeding import generator

LINEAR = Schedule("linear")
SMALL = ActorCriticConfig(network=NetworkConfig(hidden=(32,)))
FAST = OptimizerConfig(learning_rate=1e-2, schedule=LINEAR, max_grad_norm=0.5)


def make_policy(case: OnPolicyCase, collector: LocalCollector, config: ActorCriticConfig) -> Any:
    """The policy that the algorithm learns with: like the config, with a memory or with action values for some."""
    spaces, rng = (collector.observation_space, collector.action_space), generator(1, "weights")
    if case.policy_config is RecurrentActorCriticConfig:
        return RecurrentActorCritic(*spaces, RecurrentActorCriticConfig(**vars(config), memory_size=16), rng)
    if case.policy_config is QNetworkConfig:
        values = QNetworkConfig(network=config.network, normalize_observation=config.normalize_observation)
        return QNetwork(*spaces, values, rng)
    return ActorCritic(*spaces, config, rng)


class Training:
    """A run without folder: the same loop as `fit`, step by step."""

    def __init__(
        self,
        case: OnPolicyCase,
        env: EnvConfig,
        policy: ActorCriticConfig = SMALL,
        *,
        num_envs: int = 8,
        compiled: bool = False,
        device: str = "cpu",
        **changes: Any,
    ) -> None:
        config = with_compile(replace(case.config, **changes), compiled)
        self.until = Budget(case.env_steps)
        collector = make_collector(env, num_envs)
        self.policy = make_policy(case, collector, policy).to(device)
        self.agent = case.algorithm(self.policy, config, until=self.until, seed=1)
        self.rollouts = Rollouts(collector, self.policy, config.horizon)
        self.now = Counters()

    def update(self) -> Metrics:
        batch, after, _ = self.rollouts.next(self.now)
        metrics, _ = self.agent.update(batch, self.now)
        self.now = after.advance(updates=1)
        return metrics

    def run(self) -> None:
        while not self.until.reached(self.now):
            self.update()
