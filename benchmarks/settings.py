"""PPO's settings in words that every side understands, so that equal settings are equal by construction."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class PPOSettings:
    """What one run of PPO does, on any side: actor and critic are separate perceptrons of two layers of 64 tanh."""

    env: str = "CartPole-v1"
    env_steps: int
    """The budget, over all environments together."""
    num_envs: int = 8
    horizon: int
    """Steps of each environment in one rollout."""
    minibatch_size: int = 256
    epochs: int
    learning_rate: float
    anneal_learning_rate: bool = True
    """Linearly to 0 over the budget."""
    gamma: float
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

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> PPOSettings:
        return cls(**json.loads(text))

    def train_options(self) -> list[str]:
        """The same as options of `python -m experiments train`."""
        # A cadence beyond the budget: the evaluation at the end of the run is enough.
        evaluate_every = self.evaluate_every_env_steps or 2 * self.rollouts * self.rollout_env_steps
        options = {
            "seed": self.seed,
            "threads": self.threads,
            "env.id": self.env,
            "env-steps": self.env_steps,
            "num-envs": self.num_envs,
            "scale-reward": self.normalize,
            "policy.normalize-observation": self.normalize,
            "policy.initial-log-std": self.initial_log_std,
            "agent.horizon": self.horizon,
            "agent.minibatch-size": self.minibatch_size,
            "agent.epochs": self.epochs,
            "agent.gamma": self.gamma,
            "agent.gae-lambda": self.gae_lambda,
            "agent.clip-range": self.clip_range,
            "agent.clip-schedule.kind": _schedule(self.anneal_clip_range),
            "agent.entropy-coefficient": self.entropy_coefficient,
            "agent.value-coefficient": self.value_coefficient,
            "agent.optimizer.learning-rate": self.learning_rate,
            "agent.optimizer.schedule.kind": _schedule(self.anneal_learning_rate),
            "agent.optimizer.eps": self.adam_eps,
            "agent.optimizer.max-grad-norm": self.max_grad_norm,
            "log-every.count": self.log_every_env_steps,
            "checkpoint.every.count": self.checkpoint_every_env_steps,
            "evaluation.every.count": evaluate_every,
            "evaluation.episodes": self.evaluation_episodes,
            "evaluation.final-episodes": self.evaluation_episodes,
            "evaluation.num-envs": self.evaluation_envs,
        }
        return [f"--{name}={value}" for name, value in options.items()]


def _schedule(anneals: bool) -> str:
    return "linear" if anneals else "constant"
