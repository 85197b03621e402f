"""The recipe of every off-policy algorithm: its config, and how its run is put together."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from gymnasium import Space

from agents.policies.actor import Actor, ActorConfig
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.recipes import acting, offline
from agents.recipes.acting import ActingConfig, AgentConfig
from agents.replay.buffer import ReplayBuffer
from agents.replay.dataset import buffer_of
from agents.replay.replay import ComputeReward, Replay, ReplayConfig, goal_reward
from envs.config import EnvConfig
from envs.single import make_env
from training.core import Algorithm, Budget
from training.errors import require
from training.optimizer.config import with_compile
from training.recipe import choose_compute, fit_run
from training.run.run import Run
from training.seeding import generator


class MakeAgent(Protocol):
    """An off-policy algorithm's class."""

    def __call__(self, policy: Any, config: Any, /, *, until: Budget, seed: int, minibatch_size: int) -> Algorithm: ...


@dataclass(frozen=True, kw_only=True)
class OffPolicyConfig(ActingConfig):
    """What to act in, with what policy, from how much memory. An experiment sets the algorithm's config."""

    agent: AgentConfig
    policy: QNetworkConfig | ActorConfig
    replay: ReplayConfig = ReplayConfig()
    initial_weights: str | None = None
    """A file with weights of another library that the policy begins with: a .zip of Stable-Baselines3, CleanRL's
    .cleanrl_model, or named tensors in a .safetensors or .pt file (agents/policies/foreign_weights.py)."""
    clip_reward: bool = False
    """Learn from the sign of each reward alone, as Mnih et al. 2015; returns are logged and measured as they are."""
    num_envs: int = 1
    """All environments together."""
    dataset: str | None = None
    """The name of a Minari dataset on this machine, or its folder: its transitions are replay.data_fraction of each
    minibatch from the first update on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        takes = f"fewer than the {self.env_steps} env steps of the run"
        warmup = self.replay.warmup_env_steps
        require(warmup < self.env_steps, "replay.warmup_env_steps", warmup, takes)
        exponent = self.replay.priority_exponent
        feeds_back = isinstance(self.policy, QNetworkConfig)
        takes = f"0: {type(self.agent).__name__} draws all transitions alike"
        require(not exponent or feeds_back, "replay.priority_exponent", exponent, takes)
        alone = not (self.clip_reward and self.replay.hindsight_fraction)
        takes = "False with replay.hindsight_fraction: the rewards of other goals come from the environment as they are"
        require(alone, "clip_reward", self.clip_reward, takes)
        one_step = self.replay.n_step == 1 or not getattr(self.agent, "munchausen", 0)
        require(one_step, "replay.n_step", self.replay.n_step, "1 with agent.munchausen, which rewards one action")
        for key in ("priority_exponent", "hindsight_fraction"):
            takes = "0 with a dataset, whose transitions have neither errors nor later goals"
            value = getattr(self.replay, key)
            require(self.dataset is None or not value, f"replay.{key}", value, takes)


def train(config: OffPolicyConfig, run: Run, make_agent: MakeAgent) -> None:
    """One run of an off-policy algorithm: environments, policy, agent, replay and evaluation, then the loop."""
    replay, seed, until = config.replay, config.seed, config.until
    updates = (config.env_steps - replay.warmup_env_steps) // (replay.horizon * config.num_envs)
    samples, gradient_steps = replay.minibatch_size, updates * replay.gradient_steps
    compute_reward = _goal_reward(config.env) if replay.hindsight_fraction else None
    with (
        closing(acting.make_collector(config)) as collector,
        closing(acting.make_evaluation(config, run)) as evaluate,
    ):
        policy = make_policy(config.policy, collector.observation_space, collector.action_space, seed)
        acting.begin_with_weights(policy, config.initial_weights, run)
        compute = choose_compute(config, run, policy, gradient_steps=gradient_steps, samples_per_step=samples)
        agent = make_agent(
            policy, with_compile(config.agent, compute.compile), until=until, seed=seed, minibatch_size=samples
        )
        data = None if config.dataset is None else _data(config, config.dataset, policy, run)
        stream = Replay(
            collector,
            policy,
            replay,
            gamma=config.agent.gamma,
            until=until,
            seed=seed,
            compute_reward=compute_reward,
            clip_reward=config.clip_reward,
            data=data,
        )
        now, checkpoint = fit_run(config, run, compute, agent, stream, evaluate)
        acting.finish(run, agent, evaluate, now, checkpoint)


def make_policy(
    config: QNetworkConfig | ActorConfig, observation_space: Space[Any], action_space: Space[Any], seed: int
) -> QNetwork | Actor:
    """The policy that a config describes, its weights drawn by the run's seed."""
    rng = generator(seed, "weights")
    if isinstance(config, QNetworkConfig):
        return QNetwork(observation_space, action_space, config, rng)
    return Actor(observation_space, action_space, config, rng)


def _data(config: OffPolicyConfig, name: str, policy: QNetwork | Actor, run: Run) -> ReplayBuffer:
    """The transitions of the dataset, as the policy learns them."""
    with closing(make_env(config.env)) as env:
        masked = "action_mask" in env.reset(seed=config.seed)[1]
    require(
        not masked, "dataset", name, f"None where actions are masked, as in {config.env.id}: datasets hold no masks"
    )
    episodes = offline.read_data(config, name, run).episodes
    reward = np.sign(episodes.reward) if config.clip_reward else episodes.reward
    return buffer_of(replace(episodes, action=policy.learned_action(episodes.action), reward=reward))


def _goal_reward(env: EnvConfig) -> ComputeReward:
    with closing(make_env(env)) as made:
        return goal_reward(made)
