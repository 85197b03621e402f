"""The recipe of every bandit: its config, and how its run is put together."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from agents.acting.rollouts import Rollouts
from agents.bandits import Bandit, BanditConfig, BanditPolicy, BanditPolicyConfig, regret
from agents.recipes import acting
from agents.recipes.acting import ActingConfig
from envs.config import EnvConfig
from envs.single import make_env
from envs.tasks.bandits import BernoulliBandit
from training.recipe import choose_compute, fit_run
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
    with (
        closing(acting.make_collector(config)) as collector,
        closing(acting.make_evaluation(config, run)) as evaluate,
    ):
        spaces = collector.observation_space, collector.action_space
        policy = BanditPolicy(*spaces, config.policy, generator(config.seed, "weights"))
        compute = choose_compute(config, run, policy, gradient_steps=0, samples_per_step=0)
        agent, stream = Bandit(policy), Rollouts(collector, policy, config.agent.horizon)
        now, checkpoint = fit_run(config, run, compute, agent, stream, evaluate)
        env = make_env(config.env).unwrapped
        told = {"training/regret": regret(policy, env.probabilities)} if isinstance(env, BernoulliBandit) else {}
        acting.finish(run, agent, evaluate, now, checkpoint, told)
