"""What every bandit experiment shares: its config, and rollouts as the stream."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.collector import Collector
from agents.acting.rollouts import Rollouts
from agents.bandits import Bandit, BanditConfig, BanditPolicy, BanditPolicyConfig, regret
from agents.recipes import acting
from agents.recipes.acting import ActingConfig
from envs.config import EnvConfig
from envs.single import make_env
from envs.tasks.bandits import BernoulliBandit
from training.core import Algorithm, Budget, Stream
from training.run.run import Run
from training.seeding import generator


@dataclass(frozen=True, kw_only=True)
class BanditRunConfig(ActingConfig):
    """What every bandit experiment shares; with one environment, each pull is learned from before the next."""

    agent: BanditConfig = BanditConfig()
    policy: BanditPolicyConfig = BanditPolicyConfig()
    num_envs: int = 1
    env: EnvConfig = EnvConfig("envs.tasks:BernoulliBandit-v0")


def train(config: BanditRunConfig, run: Run) -> None:
    """One run of a bandit. Of all its pulls the regret is measured at the end, if the environment tells its arms."""

    def make_policy(collector: Collector) -> BanditPolicy:
        spaces = collector.observation_space, collector.action_space
        return BanditPolicy(*spaces, config.policy, generator(config.seed, "weights"))

    def make_parts(
        collector: Collector, policy: BanditPolicy, agent_config: BanditConfig, _: Budget
    ) -> tuple[Algorithm, Stream]:
        return Bandit(policy), Rollouts(collector, policy, agent_config.horizon)

    def measure(policy: BanditPolicy) -> dict[str, float]:
        env = make_env(config.env).unwrapped
        return {"training/regret": regret(policy, env.probabilities)} if isinstance(env, BernoulliBandit) else {}

    acting.train(config, run, make_policy, make_parts, gradient_steps=0, samples_per_step=0, measure=measure)
