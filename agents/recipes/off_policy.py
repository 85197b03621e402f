"""What every off-policy experiment shares: its config, and replay as the stream."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from agents.acting.collector import Collector
from agents.policies.actor import Actor, ActorConfig
from agents.policies.policy import NetworkPolicy
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.recipes import acting
from agents.recipes.acting import ActingConfig, AgentConfig
from agents.replay.replay import ComputeReward, Replay, ReplayConfig, goal_reward
from envs.single import make_env
from training.core import Algorithm, Budget, Stream
from training.errors import require
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
    num_envs: int = 1
    """All environments together."""

    def __post_init__(self) -> None:
        super().__post_init__()
        takes = f"fewer than the {self.env_steps} env steps of the run"
        warmup = self.replay.warmup_env_steps
        require(warmup < self.env_steps, "replay.warmup_env_steps", warmup, takes)
        exponent = self.replay.priority_exponent
        feeds_back = isinstance(self.policy, QNetworkConfig)
        takes = f"0: {type(self.agent).__name__} draws all transitions alike"
        require(not exponent or feeds_back, "replay.priority_exponent", exponent, takes)


def train(config: OffPolicyConfig, run: Run, make_agent: MakeAgent) -> None:
    """One run of an off-policy algorithm."""
    replay = config.replay
    compute_reward = _goal_reward(config) if replay.hindsight_fraction else None

    def make_policy(collector: Collector) -> NetworkPolicy:
        spaces, rng = (collector.observation_space, collector.action_space), generator(config.seed, "weights")
        if isinstance(config.policy, QNetworkConfig):
            return QNetwork(*spaces, config.policy, rng)
        return Actor(*spaces, config.policy, rng)

    def make_parts(
        collector: Collector, policy: NetworkPolicy, agent_config: Any, until: Budget
    ) -> tuple[Algorithm, Stream]:
        minibatch_size = replay.minibatch_size
        agent = make_agent(policy, agent_config, until=until, seed=config.seed, minibatch_size=minibatch_size)
        gamma, seed = config.agent.gamma, config.seed
        return agent, Replay(
            collector, policy, replay, gamma=gamma, until=until, seed=seed, compute_reward=compute_reward
        )

    updates = (config.env_steps - replay.warmup_env_steps) // (replay.horizon * config.num_envs)
    acting.train(
        config,
        run,
        make_policy,
        make_parts,
        gradient_steps=updates * replay.gradient_steps,
        samples_per_step=replay.minibatch_size,
    )


def _goal_reward(config: OffPolicyConfig) -> ComputeReward:
    with closing(make_env(config.env)) as env:
        return goal_reward(env)
