"""Stable-Baselines3's algorithms with the numbers of RL Zoo, until an evaluation measures what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sb3_contrib
import stable_baselines3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback, StopTrainingOnRewardThreshold
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from torch import nn

from benchmarks.comparison.measurement import Clock
from benchmarks.comparison.race import RaceSettings
from benchmarks.peers.common import main


def run(settings: RaceSettings, folder: Path, clock: Clock) -> float:
    """One run; returns what the evaluation measured that ended it, or the best."""
    make = partial(make_vec_env, settings.env)
    envs: VecEnv = make(settings.num_envs, seed=settings.seed)
    apart: VecEnv = make(settings.evaluation_envs, seed=settings.seed + 1)
    if settings.normalize:
        gamma = settings.arguments.get("gamma", 0.99)
        envs = VecNormalize(envs, gamma=gamma)
        apart = VecNormalize(apart, gamma=gamma, training=False, norm_reward=False)
    model = make_model(settings, envs)
    model.set_logger(configure(str(folder), ["csv"]))
    every = max(settings.evaluate_every_env_steps or 0, settings.num_envs * settings.arguments.get("n_steps", 1))
    evaluation = EvalCallback(
        apart,
        callback_on_new_best=StopTrainingOnRewardThreshold(settings.solved_return, verbose=0),
        n_eval_episodes=settings.evaluation_episodes,
        eval_freq=every // settings.num_envs,
        verbose=0,
    )
    saving = CheckpointCallback(
        max(1, settings.checkpoint_every_env_steps // settings.num_envs),
        str(folder / "checkpoints"),
        save_vecnormalize=settings.normalize,
    )
    clock.start()
    model.learn(settings.env_steps, callback=[saving, evaluation])
    clock.stop(model.num_timesteps)
    return float(evaluation.best_mean_reward)


def make_model(settings: RaceSettings, envs: VecEnv) -> BaseAlgorithm:
    """The algorithm with its numbers."""
    kind = getattr(stable_baselines3, settings.algorithm, None) or getattr(sb3_contrib, settings.algorithm)
    arguments = {name: _meant(value) for name, value in settings.arguments.items()}
    if settings.noise_std is not None:
        zeros = np.zeros(envs.action_space.shape or ())
        arguments["action_noise"] = NormalActionNoise(zeros, zeros + settings.noise_std)
    made: BaseAlgorithm = kind("MlpPolicy", envs, seed=settings.seed, device="cpu", **arguments)
    return made


def _meant(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _meant(inner) for name, inner in value.items()}
    if isinstance(value, str) and value.startswith("lin_"):
        first = float(value.removeprefix("lin_"))
        return lambda remaining: first * remaining
    if isinstance(value, str) and hasattr(nn, value):
        return getattr(nn, value)
    return value


if __name__ == "__main__":
    main(run, RaceSettings)
