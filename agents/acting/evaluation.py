"""Measuring a policy: on environments, seeds and random streams of its own, so that training never notices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from agents.policies.policy import Mode, Policy
from agents.policies.saved import policy_of
from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors.vector import Arrays, Step, VectorEnv
from training.core import Algorithm, Every
from training.errors import require
from training.metrics import Last, Metrics
from training.seeding import derived_seed, generator


@dataclass(frozen=True)
class EvaluationConfig:
    """How often, how long and how a policy is measured."""

    every: Every = Every(20_000, "env_steps")
    episodes: int = 20
    """Episodes of each evaluation during training."""
    final_episodes: int = 100
    """Episodes of the evaluation that ends a run, and of that of its best checkpoint."""
    num_envs: int = 10
    """Environments side by side; each plays the same number of episodes, so that short ones are not favoured."""
    greedy: bool = True
    """Take the most likely action; otherwise draw one, as in training."""
    max_episode_steps: int = 100_000
    """An episode without an end counts as it stands after so many env steps."""

    def __post_init__(self) -> None:
        require(self.max_episode_steps >= 1, "max_episode_steps", self.max_episode_steps, "at least 1")
        require(self.num_envs >= 1, "num_envs", self.num_envs, "at least 1")
        for name in ("episodes", "final_episodes"):
            count = getattr(self, name)
            takes = f"a positive multiple of its num_envs = {self.num_envs}"
            require(count >= 1 and count % self.num_envs == 0, name, count, takes)


class Evaluation:
    """Plays the same episodes each time, with a copy of the agent's policy as `load_policy` would give it.

    So a score depends on the agent's state and the seed and on nothing before, and training cannot notice.
    `behaviour_return`, the mean return of the data that a policy learns from, is what it is compared with.
    """

    score = "evaluation/return_mean"

    def __init__(
        self, env: EnvConfig, config: EvaluationConfig, *, seed: int, behaviour_return: float | None = None
    ) -> None:
        self.every = config.every
        self._env, self._config, self._seed, self._behaviour_return = env, config, seed, behaviour_return
        self._vec: VectorEnv | None = None

    def __call__(self, algorithm: Algorithm) -> Metrics:
        measured = self.measure(policy_of(algorithm.state_dict()), self._config.episodes)
        return {key: Last(value) for key, value in measured.items()}

    def final(self, policy: Policy) -> dict[str, float]:
        """The longer measurement of a policy at the end of a run."""
        return self.measure(policy, self._config.final_episodes)

    def measure(self, policy: Policy, episodes: int) -> dict[str, float]:
        """Mean, standard deviation, minimum and mean length over `episodes` episodes."""
        if self._vec is None:
            seed = derived_seed(self._seed, "evaluation")
            self._vec = make_vec(self._env, self._config.num_envs, seed=seed)
        mode: Mode = "greedy" if self._config.greedy else "explore"
        rng = generator(self._seed, "evaluation actions")
        returns, lengths = play(
            self._vec,
            policy,
            episodes // self._config.num_envs,
            mode=mode,
            rng=rng,
            max_episode_steps=self._config.max_episode_steps,
        )
        measured = {
            "evaluation/return_mean": float(returns.mean()),
            "evaluation/return_std": float(returns.std()),
            "evaluation/return_min": float(returns.min()),
            "evaluation/length_mean": float(lengths.mean()),
        }
        if self._behaviour_return is not None:
            measured["evaluation/return_over_behaviour"] = measured["evaluation/return_mean"] - self._behaviour_return
        return measured

    def close(self) -> None:
        if self._vec is not None:
            self._vec.close()


def play(
    vec: VectorEnv,
    policy: Policy,
    episodes_per_env: int,
    *,
    mode: Mode,
    rng: torch.Generator,
    max_episode_steps: int = EvaluationConfig.max_episode_steps,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns and lengths of the first `episodes_per_env` episodes of every environment, both [episodes]."""
    act = policy.acting(mode, vec.num_envs)
    step = vec.reset()
    state: Arrays = {}
    total, length = np.zeros(vec.num_envs), np.zeros(vec.num_envs, np.int64)
    left = np.full(vec.num_envs, episodes_per_env)
    returns: list[float] = []
    lengths: list[int] = []
    while left.any():
        noise = {} if mode == "greedy" else policy.noise((vec.num_envs,), rng)
        action, state = act(_seen(step, vec.episode_steps == 0), state, noise)
        step = vec.step(policy.env_action(action))
        valid = np.ones(vec.num_envs, bool) if step.valid is None else step.valid
        total += step.reward * valid
        length += valid
        done = step.terminated | step.truncated | (length >= max_episode_steps)
        counted = done & (left > 0)
        returns += total[counted].tolist()
        lengths += length[counted].tolist()
        left -= counted
        total[done], length[done] = 0.0, 0
    return np.array(returns), np.array(lengths)


def _seen(step: Step, is_first: np.ndarray) -> Arrays:
    """What the policy sees, [N, ...]."""
    seen = {**step.obs, "is_first": is_first, "reward": step.reward}
    return seen if step.action_mask is None else {**seen, "action_mask": step.action_mask}
