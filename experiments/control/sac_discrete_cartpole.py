"""Discrete SAC balances a pole: CartPole-v1 with a policy that stays as random as it can."""

from __future__ import annotations

from dataclasses import dataclass

from agents.acting.evaluation import EvaluationConfig
from agents.policies.actor import ActorConfig
from agents.recipes import off_policy
from agents.replay.replay import ReplayConfig
from agents.sac_discrete import SACDiscrete, SACDiscreteConfig
from envs.config import EnvConfig
from training.claims import Claim
from training.core import Every
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run

NETWORK = NetworkConfig(hidden=(64, 64), activation="relu")
FAST = OptimizerConfig(learning_rate=1e-3)


@dataclass(frozen=True, kw_only=True)
class Config(off_policy.OffPolicyConfig):
    """SAC's settings with small networks; the target entropy is 30 % of a uniform policy's, as 98 % cannot balance."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    env_steps: int = 50_000
    policy: ActorConfig = ActorConfig(network=NETWORK)
    replay: ReplayConfig = ReplayConfig(capacity=100_000, warmup_env_steps=1_000, minibatch_size=64)
    agent: SACDiscreteConfig = SACDiscreteConfig(
        tau=0.01, critic_network=NETWORK, target_entropy_fraction=0.3, actor_optimizer=FAST, critic_optimizer=FAST
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(5_000))
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(5_000))


# SLM-Lab lists a training return of 406.1 after 200,000 steps.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0, of="success", seeds=20),)


def train(config: Config, run: Run) -> None:
    """`off_policy.train` makes environments, policy and replay; `training.fit` is the loop."""
    off_policy.train(config, run, SACDiscrete)
