"""Settings in words that every side understands, so that equal settings are equal by construction."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one run does, on any side and with any algorithm."""

    env: str
    env_steps: int
    """The budget, over all environments together."""
    log_every_env_steps: int = 2_000
    checkpoint_every_env_steps: int = 50_000
    evaluate_every_env_steps: int | None = None
    """None: only at the end, after the clock has stopped."""
    evaluation_episodes: int = 20
    """Of each greedy evaluation."""
    evaluation_envs: int = 10
    """Side by side in each evaluation."""
    solved_return: float | None = None
    """The evaluated return at which the clock stops; None: it stops at the end of the budget."""
    seed: int = 1
    threads: int = 1

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))

    def train_options(self) -> list[str]:
        """The same as options of `python -m experiments train`."""
        options = {
            "seed": self.seed,
            "threads": self.threads,
            "env.id": self.env,
            "env-steps": self.env_steps,
            "log-every.count": self.log_every_env_steps,
            "checkpoint.every.count": self.checkpoint_every_env_steps,
            # A cadence beyond the budget: the evaluation at the end of the run is enough.
            "evaluation.every.count": self.evaluate_every_env_steps or 10 * self.env_steps,
            "evaluation.episodes": self.evaluation_episodes,
            "evaluation.final-episodes": self.evaluation_episodes,
            "evaluation.num-envs": self.evaluation_envs,
            **({} if self.solved_return is None else {"stop-at-return": self.solved_return}),
            **self._own_options(),
        }
        return [f"--{name}={value}" for name, value in options.items()]

    def _own_options(self) -> dict[str, Any]:
        """Those that not every run has."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class EqualSettings(Settings):
    """The same numbers on every side."""

    num_envs: int
    gamma: float
    learning_rate: float
    minibatch_size: int
    workers: int = 0
    """Processes on Ray that step the environments; 0: the learner's does."""

    def _own_options(self) -> dict[str, Any]:
        options = {"num-envs": self.num_envs, "workers": self.workers, "agent.gamma": self.gamma}
        return options | self._of_algorithm()

    def _of_algorithm(self) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class PPOSettings(EqualSettings):
    """PPO: actor and critic are separate perceptrons of two layers of 64 tanh."""

    env: str = "CartPole-v1"
    num_envs: int = 8
    horizon: int
    """Steps of each environment in one rollout."""
    minibatch_size: int = 256
    epochs: int
    anneal_learning_rate: bool = True
    """Linearly to 0 over the budget."""
    gae_lambda: float
    clip_range: float = 0.2
    anneal_clip_range: bool = False
    """Linearly to 0 over the budget."""
    entropy_coefficient: float = 0.0
    value_coefficient: float = 0.5
    max_grad_norm: float = 0.5
    adam_eps: float = 1e-5
    normalize: bool = False
    """Observations and rewards, by their running statistics."""
    initial_log_std: float = 0.0
    """Of continuous actions."""

    @property
    def rollout_env_steps(self) -> int:
        return self.horizon * self.num_envs

    @property
    def rollouts(self) -> int:
        """How many rollouts the budget takes: it ends with the first that reaches it."""
        return -(-self.env_steps // self.rollout_env_steps)

    def rollouts_in(self, env_steps: int) -> int:
        """A cadence in rollouts that is as near to one in env steps as can be."""
        return max(1, round(env_steps / self.rollout_env_steps))

    def _of_algorithm(self) -> dict[str, Any]:
        return {
            "scale-reward": self.normalize,
            "policy.normalize-observation": self.normalize,
            "policy.initial-log-std": self.initial_log_std,
            "agent.horizon": self.horizon,
            "agent.minibatch-size": self.minibatch_size,
            "agent.epochs": self.epochs,
            "agent.gae-lambda": self.gae_lambda,
            "agent.clip-range": self.clip_range,
            "agent.clip-schedule.kind": _schedule(self.anneal_clip_range),
            "agent.entropy-coefficient": self.entropy_coefficient,
            "agent.value-coefficient": self.value_coefficient,
            "agent.optimizer.learning-rate": self.learning_rate,
            "agent.optimizer.schedule.kind": _schedule(self.anneal_learning_rate),
            "agent.optimizer.eps": self.adam_eps,
            "agent.optimizer.max-grad-norm": self.max_grad_norm,
        }


@dataclass(frozen=True, kw_only=True)
class OffPolicySettings(EqualSettings):
    """SAC, TD3 or DQN: every network is a perceptron of two layers of 256 relu, and learns at one rate."""

    algorithm: Literal["SAC", "TD3", "DQN"]
    num_envs: int = 1
    buffer_size: int
    warmup_env_steps: int
    """At random, before the first update."""
    horizon: int = 1
    """Steps of each environment between two updates."""
    gradient_steps: int = 1
    """Of one update."""
    minibatch_size: int = 256
    tau: float = 0.005
    """SAC, TD3: how far the targets move at a time."""
    policy_delay: int = 2
    """TD3: gradient steps of the critics for each one of the actor."""
    noise_std: float = 0.1
    """TD3: of the noise on actions in [-1, 1]."""
    smoothing_std: float = 0.2
    """TD3: of the noise on the target's actions."""
    smoothing_clip: float = 0.5
    epsilon_final: float = 0.04
    """DQN: it falls to this from 1."""
    epsilon_fraction: float = 0.16
    """DQN: of the run, in which it falls."""
    max_grad_norm: float = 10.0
    """DQN. Its target network is copied once in each update."""

    @property
    def hidden(self) -> list[int]:
        return [256, 256]

    def _of_algorithm(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "policy.network.hidden": self.hidden,
            "replay.capacity": self.buffer_size,
            "replay.warmup-env-steps": self.warmup_env_steps,
            "replay.horizon": self.horizon,
            "replay.gradient-steps": self.gradient_steps,
            "replay.minibatch-size": self.minibatch_size,
        }
        if self.algorithm == "DQN":
            return options | {
                "agent.optimizer.learning-rate": self.learning_rate,
                "agent.optimizer.max-grad-norm": self.max_grad_norm,
                "agent.target-gradient-steps": self.gradient_steps,
                "agent.epsilon.final": self.epsilon_final,
                "agent.epsilon.fraction": self.epsilon_fraction,
            }
        options |= {
            "agent.tau": self.tau,
            "agent.critic-network.hidden": self.hidden,
            "agent.actor-optimizer.learning-rate": self.learning_rate,
            "agent.critic-optimizer.learning-rate": self.learning_rate,
        }
        if self.algorithm == "TD3":
            options |= {
                "policy.noise-std": self.noise_std,
                "agent.policy-delay": self.policy_delay,
                "agent.smoothing-std": self.smoothing_std,
                "agent.smoothing-clip": self.smoothing_clip,
            }
        return options


def _schedule(anneals: bool) -> str:
    return "linear" if anneals else "constant"
