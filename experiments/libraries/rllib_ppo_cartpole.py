"""RLlib's PPO balances a pole on a cart: CartPole-v1, with another library's algorithm in our run folder."""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.libraries import rllib
from agents.libraries.rllib import RLlibPolicyConfig
from envs.config import EnvConfig
from training.claims import Claim
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(rllib.RLlibRunConfig):
    """The settings of `ppo_cartpole`, by RLlib's names, with what it does otherwise: no clipping of value errors."""

    env: EnvConfig = EnvConfig("CartPole-v1")
    env_steps: int = 50_000
    agent: RLlibPolicyConfig = field(
        default_factory=lambda: RLlibPolicyConfig(
            "PPO",
            arguments={
                "train_batch_size_per_learner": 1_024,
                "minibatch_size": 256,
                "num_epochs": 20,
                "lr": [[0, 1e-3], [50_000, 0.0]],
                "gamma": 0.98,
                "lambda_": 0.8,
                "vf_clip_param": 1e9,
                "use_kl_loss": False,
                "grad_clip": 0.5,
            },
            model={"fcnet_hiddens": [64, 64], "fcnet_activation": "tanh", "vf_share_layers": False},
        )
    )


# The environment counts as solved at a mean return of 475.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0, of="success", seeds=20),)


def train(config: Config, run: Run) -> None:
    """`rllib.train` makes RLlib's algorithm; `training.fit` is the loop around its iterations."""
    rllib.train(config, run)
