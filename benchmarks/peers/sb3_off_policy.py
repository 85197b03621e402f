"""Stable-Baselines3's SAC, TD3 and DQN as its users run them: `make_vec_env`, the csv logger, checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from benchmarks.comparison.measurement import Clock
from benchmarks.comparison.settings import OffPolicySettings
from benchmarks.peers.common import greedy_return, main


def run(settings: OffPolicySettings, folder: Path, clock: Clock) -> float:
    """One run; returns the greedy policy's return at its end."""
    envs = make_vec_env(settings.env, settings.num_envs, seed=settings.seed, vec_env_cls=DummyVecEnv)
    model = make_model(settings, envs)
    model.set_logger(configure(str(folder), ["csv"]))
    saving = CheckpointCallback(
        # Its cadence counts vector steps. It leaves out the buffer, which ours saves.
        max(1, settings.checkpoint_every_env_steps // settings.num_envs),
        str(folder / "checkpoints"),
    )
    # Its own rows come by episodes: they are left to `Rows`, so that both sides write as many.
    model.learn(settings.env_steps, callback=[saving, Rows(settings.log_every_env_steps, clock)], log_interval=10**9)
    model.save(folder / "model")
    clock.stop(model.num_timesteps)
    return greedy_return(lambda obs: model.predict(obs, deterministic=True)[0], settings)


def make_model(settings: OffPolicySettings, envs: VecEnv) -> OffPolicyAlgorithm:
    """Its algorithm with the settings."""
    shared: dict[str, Any] = {
        "learning_rate": settings.learning_rate,
        "buffer_size": settings.buffer_size,
        "learning_starts": settings.warmup_env_steps,
        "batch_size": settings.minibatch_size,
        "gamma": settings.gamma,
        "train_freq": settings.horizon,
        "gradient_steps": settings.gradient_steps,
        "policy_kwargs": {"net_arch": settings.hidden},
        "seed": settings.seed,
        "device": "cpu",
    }
    if settings.algorithm == "SAC":
        return SAC("MlpPolicy", envs, tau=settings.tau, **shared)
    if settings.algorithm == "TD3":
        actions = np.zeros(envs.action_space.shape or ())
        return TD3(
            "MlpPolicy",
            envs,
            tau=settings.tau,
            policy_delay=settings.policy_delay,
            action_noise=NormalActionNoise(actions, actions + settings.noise_std),
            target_policy_noise=settings.smoothing_std,
            target_noise_clip=settings.smoothing_clip,
            **shared,
        )
    return DQN(
        "MlpPolicy",
        envs,
        # It is copied while acting, where the network stays the same: once after each update counts.
        target_update_interval=settings.horizon,
        exploration_final_eps=settings.epsilon_final,
        exploration_fraction=settings.epsilon_fraction,
        max_grad_norm=settings.max_grad_norm,
        **shared,
    )


class Rows(BaseCallback):
    """Starts the clock before the first env step, writes a row each `every` env steps and tells the clock of it."""

    model: OffPolicyAlgorithm

    def __init__(self, every: int, clock: Clock) -> None:
        super().__init__()
        self._every, self._clock = every, clock
        self._rows = 0

    def _on_training_start(self) -> None:
        self._clock.start()

    def _on_rollout_start(self) -> None:
        """What was collected before has been learned from by now."""
        if self.num_timesteps // self._every > self._rows:
            self._rows = self.num_timesteps // self._every
            self.model.dump_logs()
            self._clock.row(self.num_timesteps)

    def _on_step(self) -> bool:
        return True


if __name__ == "__main__":
    main(run, OffPolicySettings)
