"""Seconds to a solved task: our best settings against Stable-Baselines3 with those that RL Zoo tuned for it.

Each side brings its own algorithm, numbers and budget. The clock runs from the start of the process to the first greedy
evaluation that measures the return which is asked for; how that is evaluated is the same on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.comparison.settings import Settings


@dataclass(frozen=True, kw_only=True)
class RaceSettings(Settings):
    """One side of a race. Ours has options of `train`, the other the arguments of one of its algorithms."""

    solved_return: float
    options: Mapping[str, Any] = field(default_factory=dict)
    algorithm: str = ""
    """Of Stable-Baselines3 or of its contributions, such as "PPO"."""
    num_envs: int = 1
    normalize: bool = False
    """Observations and rewards, by VecNormalize."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Of the algorithm. A number as "lin_0.001" falls linearly to 0, and an activation has its name in torch."""
    noise_std: float | None = None
    """Of the Gaussian noise on actions."""

    def _own_options(self) -> dict[str, Any]:
        return dict(self.options)


class Race(NamedTuple):
    """A task, and who runs for it."""

    name: str
    title: str
    experiment: str
    ours: RaceSettings
    theirs: RaceSettings


def _race(
    env: str,
    solved_return: float,
    experiment: str,
    options: Mapping[str, Any],
    *,
    env_steps: int,
    every: int,
    zoo: Mapping[str, Any],
    title: str = "",
) -> Race:
    """`every`: env steps between two evaluations, which the other side makes at the ends of its rollouts."""
    shared: dict[str, Any] = {"env": env, "solved_return": solved_return, "evaluate_every_env_steps": every}
    of_env = title or env.rpartition("-")[0]
    return Race(
        name=f"race_{of_env.replace(' ', '_').lower()}",
        title=f"{of_env}: process start to an evaluated return of {solved_return:g}",
        experiment=experiment,
        ours=RaceSettings(**shared, env_steps=env_steps, options=options),
        theirs=RaceSettings(**shared, **zoo),
    )


PPO_LANDER: Mapping[str, Any] = {
    "algorithm": "PPO",
    "num_envs": 16,
    "env_steps": 1_000_000,
    "arguments": {
        "n_steps": 1024,
        "batch_size": 64,
        "gae_lambda": 0.98,
        "gamma": 0.999,
        "n_epochs": 4,
        "ent_coef": 0.01,
    },
}
# RL Zoo's numbers (hyperparams/*.yml at commit 22e3ff2).
RACES = (
    _race(
        "CartPole-v1",
        475.0,
        "ppo_cartpole",
        {"num-envs": 16, "agent.horizon": 64, "agent.epochs": 8, "agent.optimizer.learning-rate": 2e-3},
        env_steps=60_000,
        every=4_096,
        zoo={
            "algorithm": "PPO",
            "num_envs": 8,
            "env_steps": 100_000,
            "arguments": {
                "n_steps": 32,
                "batch_size": 256,
                "gae_lambda": 0.8,
                "gamma": 0.98,
                "n_epochs": 20,
                "ent_coef": 0.0,
                "learning_rate": "lin_0.001",
                "clip_range": "lin_0.2",
            },
        },
    ),
    _race(
        "Acrobot-v1",
        -90.0,
        "ppo_acrobot",
        {},
        env_steps=200_000,
        every=10_000,
        zoo={
            "algorithm": "PPO",
            "num_envs": 16,
            "env_steps": 1_000_000,
            "normalize": True,
            "arguments": {"n_steps": 256, "gae_lambda": 0.94, "gamma": 0.99, "n_epochs": 4, "ent_coef": 0.0},
        },
    ),
    _race(
        "MountainCar-v0",
        -110.0,
        "ppo_mountain_car",
        {},
        env_steps=1_000_000,
        every=10_000,
        zoo={
            "algorithm": "DQN",
            "env_steps": 120_000,
            "arguments": {
                "learning_rate": 4e-3,
                "batch_size": 128,
                "buffer_size": 10_000,
                "learning_starts": 1_000,
                "gamma": 0.98,
                "target_update_interval": 600,
                "train_freq": 16,
                "gradient_steps": 8,
                "exploration_fraction": 0.2,
                "exploration_final_eps": 0.07,
                "policy_kwargs": {"net_arch": [256, 256]},
            },
        },
    ),
    _race(
        "Pendulum-v1",
        -170.0,
        "ppo_pendulum",
        {},
        env_steps=200_000,
        every=5_000,
        zoo={
            "algorithm": "PPO",
            "num_envs": 4,
            "env_steps": 100_000,
            "arguments": {
                "n_steps": 1024,
                "gae_lambda": 0.95,
                "gamma": 0.9,
                "n_epochs": 10,
                "ent_coef": 0.0,
                "learning_rate": 1e-3,
                "clip_range": 0.2,
                "use_sde": True,
                "sde_sample_freq": 4,
            },
        },
    ),
    _race("LunarLander-v3", 200.0, "ppo_lunar_lander", {}, env_steps=1_000_000, every=20_000, zoo=PPO_LANDER),
    _race(
        "LunarLanderContinuous-v3",
        200.0,
        "ppo_lunar_lander",
        {},
        env_steps=1_000_000,
        every=20_000,
        zoo=PPO_LANDER,
    ),
    _race(
        "BipedalWalker-v3",
        250.0,
        "ppo_bipedal_walker",
        {},
        env_steps=3_000_000,
        every=50_000,
        zoo={
            "algorithm": "PPO",
            "num_envs": 32,
            "env_steps": 5_000_000,
            "normalize": True,
            "arguments": {
                "n_steps": 2048,
                "batch_size": 64,
                "gae_lambda": 0.95,
                "gamma": 0.999,
                "n_epochs": 10,
                "ent_coef": 0.0,
                "learning_rate": 3e-4,
                "clip_range": 0.18,
            },
        },
    ),
)
