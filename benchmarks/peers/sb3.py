"""Stable-Baselines3's PPO as its users run it: `make_vec_env`, the csv logger, checkpoints, no progress bar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from benchmarks.comparison.measurement import Clock
from benchmarks.comparison.settings import PPOSettings
from benchmarks.peers.common import greedy_return, main


def run(settings: PPOSettings, folder: Path, clock: Clock) -> float:
    """One run; returns the greedy policy's return at its end."""
    envs: VecEnv = make_vec_env(settings.env, settings.num_envs, seed=settings.seed, vec_env_cls=DummyVecEnv)
    if settings.normalize:
        envs = VecNormalize(envs, gamma=settings.gamma)
    model = PPO(
        "MlpPolicy",
        envs,
        learning_rate=_falling(settings.learning_rate, settings.anneal_learning_rate),
        n_steps=settings.horizon,
        batch_size=settings.minibatch_size,
        n_epochs=settings.epochs,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        clip_range=_falling(settings.clip_range, settings.anneal_clip_range),
        ent_coef=settings.entropy_coefficient,
        vf_coef=settings.value_coefficient,
        max_grad_norm=settings.max_grad_norm,
        policy_kwargs={
            "log_std_init": settings.initial_log_std,
            "optimizer_kwargs": {"eps": settings.adam_eps},
        },
        seed=settings.seed,
        device="cpu",
    )
    model.set_logger(configure(str(folder), ["csv"]))
    callbacks: list[BaseCallback] = [
        CheckpointCallback(
            # Its cadence counts vector steps.
            max(1, settings.checkpoint_every_env_steps // settings.num_envs),
            str(folder / "checkpoints"),
            save_vecnormalize=settings.normalize,
        ),
        Rows(clock),
    ]
    model.learn(
        settings.env_steps,
        callback=callbacks,
        log_interval=settings.rollouts_in(settings.log_every_env_steps),
    )
    model.save(folder / "model")
    clock.stop(model.num_timesteps)

    normalized = (lambda obs: envs.normalize_obs(obs)) if isinstance(envs, VecNormalize) else (lambda obs: obs)
    return greedy_return(lambda obs: model.predict(normalized(obs), deterministic=True)[0], settings)


class Rows(BaseCallback):
    """Starts the clock before the first env step and tells it of the first row of the log."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._rollouts = 0

    def _on_training_start(self) -> None:
        self._clock.start()

    def _on_rollout_start(self) -> None:
        """The rollout before has been learned from and logged by now."""
        log_interval = self.locals["log_interval"]
        if self._rollouts >= log_interval:
            self._clock.row(self.num_timesteps)
        self._rollouts += 1

    def _on_step(self) -> bool:
        return True


def _falling(value: float, anneals: bool) -> Callable[[float], float]:
    return (lambda remaining: value * remaining) if anneals else (lambda _: value)


if __name__ == "__main__":
    main(run, PPOSettings)
