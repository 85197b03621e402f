"""RLlib's PPO with its learner in this process, and without workers its environments too; its own checkpoints."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

from benchmarks.comparison.measurement import Clock
from benchmarks.comparison.settings import PPOSettings
from benchmarks.peers.common import greedy_return, main


def run(settings: PPOSettings, folder: Path, clock: Clock) -> float:
    """One run; returns the greedy policy's return at its end."""
    # An own local cluster: a stale address of another one must not be found.
    ray.init(
        address="local", num_cpus=settings.threads + settings.workers, include_dashboard=False, log_to_driver=False
    )
    rate = settings.learning_rate
    schedule = [[0, rate], [settings.env_steps, 0.0]] if settings.anneal_learning_rate else rate
    config = (
        PPOConfig()
        .environment(settings.env)
        .framework("torch")
        .env_runners(
            num_env_runners=settings.workers,
            num_envs_per_env_runner=settings.num_envs // max(1, settings.workers),
            rollout_fragment_length=settings.horizon,
        )
        .learners(num_learners=0, num_gpus_per_learner=0)
        .training(
            train_batch_size_per_learner=settings.rollout_env_steps,
            minibatch_size=settings.minibatch_size,
            num_epochs=settings.epochs,
            lr=schedule,
            gamma=settings.gamma,
            lambda_=settings.gae_lambda,
            clip_param=settings.clip_range,
            # No clipping of value errors, as on the other sides.
            vf_clip_param=float("inf"),
            vf_loss_coeff=settings.value_coefficient,
            entropy_coeff=settings.entropy_coefficient,
            use_kl_loss=False,
            grad_clip=settings.max_grad_norm,
            grad_clip_by="global_norm",
        )
        .rl_module(
            model_config=DefaultModelConfig(fcnet_hiddens=[64, 64], fcnet_activation="tanh", vf_share_layers=False)
        )
        .debugging(seed=settings.seed)
        # One result, and so one row of the log, at the cadence of the others.
        .reporting(min_sample_timesteps_per_iteration=settings.log_every_env_steps)
    )
    algorithm = config.build_algo()
    env_steps = saved_at = 0
    with (folder / "progress.csv").open("w", newline="") as file:
        log = csv.writer(file)
        clock.start()
        while env_steps < settings.env_steps:
            result = algorithm.train()
            env_steps = int(result["num_env_steps_sampled_lifetime"])
            log.writerow([env_steps, result["env_runners"].get("episode_return_mean"), *_losses(result)])
            clock.row(env_steps)
            if env_steps - saved_at >= settings.checkpoint_every_env_steps:
                algorithm.save_to_path(str(folder / "checkpoint"))
                saved_at = env_steps
        algorithm.save_to_path(str(folder / "checkpoint"))
        clock.stop(env_steps)

    module: Any = algorithm.get_module()

    def predict(obs: Any) -> int:
        out = module.forward_inference({Columns.OBS: torch.as_tensor(obs)[None]})
        return int(out[Columns.ACTION_DIST_INPUTS].argmax())

    final_return = greedy_return(predict, settings)
    algorithm.stop()
    ray.shutdown()
    return final_return


def _losses(result: dict[str, Any]) -> list[float]:
    learner = result["learners"]["default_policy"]
    return [float(learner[name]) for name in ("policy_loss", "vf_loss", "entropy")]


if __name__ == "__main__":
    main(run, PPOSettings)
