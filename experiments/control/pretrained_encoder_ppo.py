"""PPO that begins with an encoder of random frames needs fewer env steps to turn a dial of handwritten digits."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.acting.evaluation import EvaluationConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.ppo import PPO, PPOConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from envs.single import make_env
from finetuning.optimizer_rules import frozen
from pretraining import contrastive
from pretraining.contrastive import ContrastiveConfig, ContrastiveEncoderConfig, ContrastiveRunConfig
from pretraining.model import load_model, load_weights
from training.claims import Claim
from training.core import Every
from training.data.augmentation import AugmentationConfig
from training.data.dataset import Dataset
from training.data.sources import of_arrays
from training.data.splits import SplitConfig, split
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.logger import read_rows
from training.run.run import Run
from training.seeding import derived_seed, generator

NETWORK = NetworkConfig(hidden=(64,), activation="relu", cnn="residual", channels=(16, 32))
REACHED = 0.45
"""The best return is about 0.66: a stop at the right place, after three steps on average."""


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """The same PPO from nothing and from the encoder, whose frames are counted as env steps."""

    env: EnvConfig = EnvConfig("envs.tasks:DigitDial-v0")
    num_envs: int = 16
    env_steps: int = 20_000
    frames: int = 1_000
    """Of a random policy, without rewards: what the encoder learns from."""
    freeze: bool = False
    """Keep the encoder as it was pretrained."""
    policy: ActorCriticConfig = ActorCriticConfig(network=NETWORK)
    agent: PPOConfig = PPOConfig(
        horizon=64,
        minibatch_size=256,
        epochs=4,
        gamma=0.95,
        entropy_coefficient=0.01,
        optimizer=OptimizerConfig(learning_rate=5e-4, eps=1e-5, max_grad_norm=0.5),
    )
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(1_024), episodes=100, num_envs=20)
    pretraining: ContrastiveRunConfig = field(
        default_factory=lambda: ContrastiveRunConfig(
            epochs=None,
            steps=400,
            model=ContrastiveEncoderConfig(network=NETWORK),
            algorithm=ContrastiveConfig(
                augmentation=AugmentationConfig(shift_pixels=1.0, rotate_degrees=15.0, scale=0.15, shear=0.15),
                optimizer=OptimizerConfig("adamw", learning_rate=2e-3),
            ),
        )
    )


# Env steps to the first evaluation of a hundred episodes that reaches the target; the frames are counted too.
CLAIMS = (Claim("comparison/env_steps_fraction", "<=", 0.9),)


def train(config: Config, run: Run) -> None:
    """Three stages: PPO from nothing, the encoder from frames, and PPO from the encoder."""
    alone, encoding, tuning = run.stage("ppo"), run.stage("encoder"), run.stage("fine-tune")
    if not alone.finished:
        on_policy.train(config, alone, PPO)
    if not encoding.finished:
        frames = split(random_frames(config), SplitConfig(validation=0.1, test=0.1, leaks="drop"), seed=config.seed)
        contrastive.train(replace(config.pretraining, seed=config.seed), encoding, frames)

    def begin(policy: ActorCritic, own: PPOConfig, /, **how: Any) -> PPO:
        saved = load_model(encoding.folder, "last").encoder.encoders["input"]
        load_weights(policy.actor_encoder.encoders["obs"], saved.state_dict(), source=str(encoding.folder))
        if config.freeze:
            own = replace(own, optimizer=replace(own.optimizer, rules=frozen("actor_encoder*")))
        return PPO(policy, own, **how)

    if not tuning.finished:
        on_policy.train(config, tuning, begin)
    needed = [env_steps_to_target(stage.folder, config.env_steps) for stage in (alone, tuning)]
    with_frames = needed[1] + config.frames
    compared = {
        "comparison/ppo_env_steps": needed[0],
        "comparison/pretrained_env_steps": with_frames,
        "comparison/env_steps_fraction": with_frames / needed[0],
    }
    run.finish_as(tuning, compared)


def random_frames(config: Config) -> Dataset:
    """What a random policy sees [frames, 8, 8]."""
    rng = np.random.default_rng(generator(config.seed, "random play").initial_seed())
    seen, ended = [], True
    with closing(make_env(config.env)) as env:
        for step in range(config.frames):
            if ended:
                env.reset(seed=derived_seed(config.seed, "random play", step))
            obs, _, terminated, truncated, _ = env.step(rng.integers(3))
            seen.append(obs)
            ended = terminated or truncated
    return of_arrays(np.stack(seen), None, f"random play of {config.env.id}")


def env_steps_to_target(stage: Path, budget: int) -> float:
    """A stage that never gets there counts with the whole budget."""
    rows = read_rows(stage / "metrics.jsonl")
    reached = (row["env_steps"] for row in rows if row.get("evaluation/return_mean", -1.0) >= REACHED)
    return float(next(reached, budget))
