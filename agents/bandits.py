"""Bandits: the smallest case of the loop. There is nothing to see, every episode is one step, and learning is counting.

Three strategies of choosing an arm k by its pulls n_k and successes s_k, of n pulls in all:
- epsilon-greedy (Sutton and Barto 2018, section 2.2): a random arm with probability epsilon, otherwise the best mean;
- UCB1 (Auer et al. 2002, figure 1): the arm with the greatest s_k / n_k + sqrt(2 ln n / n_k), each arm once at first;
- Thompson sampling (Chapelle and Li 2011, algorithm 2): the arm with the greatest draw from its posterior,
  Beta(1 + s_k, 1 + n_k - s_k).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import Space, spaces
from numpy.typing import NDArray
from torch import Tensor

from agents.acting.evaluation import Evaluation
from agents.acting.rollouts import Rollouts, to_samples
from agents.policies.policy import Acting, Mode, NetworkPolicy
from agents.recipes import acting
from agents.recipes.acting import ActingConfig
from envs.config import EnvConfig
from envs.single import make_env
from envs.tasks.bandits import BernoulliBandit
from envs.vectors.vector import Arrays
from training.core import Batch, Counters, moved
from training.errors import UserError, require
from training.metrics import Last, Metrics
from training.recipe import choose_compute, fit_run
from training.run.run import Run
from training.seeding import generator
from training.state import State

Array = NDArray[Any]


@dataclass(frozen=True)
class BanditPolicyConfig:
    """How an arm is chosen while learning; evaluated greedily, it is that with the best mean."""

    strategy: Literal["epsilon-greedy", "ucb1", "thompson"] = "thompson"
    epsilon: float = 0.1
    """For epsilon-greedy: the probability of an arm drawn evenly from all."""

    def __post_init__(self) -> None:
        require(0 <= self.epsilon <= 1, "epsilon", self.epsilon, "a number from 0 to 1")


class BanditPolicy(NetworkPolicy):
    """Chooses among K arms by what it has counted of each; it has no weights.

    Raises UserError for an environment whose actions are no arms, or in which there is something to see.
    """

    pulls: Tensor
    """[K] int64"""
    successes: Tensor
    """[K] int64"""

    def __init__(
        self, observation_space: Space[Any], action_space: Space[Any], config: BanditPolicyConfig, rng: torch.Generator
    ) -> None:
        super().__init__(observation_space, action_space, config)
        if not isinstance(action_space, spaces.Discrete):
            raise UserError(f"action space {action_space}: a bandit's arms are a Discrete space")
        if not (isinstance(observation_space, spaces.Discrete) and observation_space.n == 1):
            raise UserError(f"observation space {observation_space}: a bandit sees nothing, which is Discrete(1)")
        self.arms = int(action_space.n)
        self.register_buffer("pulls", torch.zeros(self.arms, dtype=torch.int64))
        self.register_buffer("successes", torch.zeros(self.arms, dtype=torch.int64))

    def count(self, arm: Tensor, reward: Tensor) -> None:
        """Takes in pulls [B] of arms and what they paid, 0 or 1."""
        self.pulls += torch.bincount(arm, minlength=self.arms)
        self.successes += torch.bincount(arm[reward == 1], minlength=self.arms)

    def acting(self, mode: Mode, rows: int) -> Acting:
        pulls, successes = self.pulls.cpu().numpy().copy(), self.successes.cpu().numpy().copy()
        mean = successes / np.maximum(pulls, 1)
        strategy, epsilon = self.config.strategy, self.config.epsilon

        def scores(uniform: Array) -> Array:
            """What the arms [N, K] are chosen by."""
            if mode == "random":
                return np.zeros_like(uniform)
            if strategy == "thompson":
                return thompson_sample(pulls, successes, uniform)
            return np.broadcast_to(ucb1_index(pulls, successes) if strategy == "ucb1" else mean, uniform.shape)

        def act(step: Arrays, state: Arrays, noise: Arrays) -> tuple[Arrays, Arrays]:
            allowed = step.get("action_mask", np.True_)
            if mode == "greedy":
                score = np.where(allowed, np.broadcast_to(mean, (len(step["obs"]), len(mean))), -np.inf)
                return {"action": score.argmax(-1)}, state
            score, tie = scores(noise["arm"]), noise["tie"]
            if strategy == "epsilon-greedy":
                score = np.where(noise["explore"][:, None] < epsilon, 0.0, score)
            score = np.where(allowed, score, -np.inf)
            return {"action": np.where(score == score.max(-1, keepdims=True), tie, -1.0).argmax(-1)}, state

        return act

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays:
        """Uniform numbers in [0, 1): one for each arm, one to break ties by for each arm, and one for exploring."""
        arm, tie, explore = torch.rand(*leading, 2 * self.arms + 1, generator=rng, dtype=torch.float64).split(
            (self.arms, self.arms, 1), dim=-1
        )
        return {"arm": arm.numpy(), "tie": tie.numpy(), "explore": explore.squeeze(-1).numpy()}


def ucb1_index(pulls: Array, successes: Array) -> Array:
    """The upper confidence bound of each arm [K] (Auer et al. 2002, figure 1); infinite before its first pull."""
    n = np.maximum(pulls, 1)
    bound = successes / n + np.sqrt(2 * np.log(max(pulls.sum(), 1)) / n)
    return np.where(pulls > 0, bound, np.inf)


def thompson_sample(pulls: Array, successes: Array, uniform: Array) -> Array:
    """A draw of each arm's probability [..., K] from its posterior, Beta(1 + s, 1 + n - s), by its inverse.

    The prior is even. `uniform` [..., K] in [0, 1) is what is random.
    """
    from scipy.special import betaincinv

    return np.asarray(betaincinv(1.0 + successes, 1.0 + pulls - successes, uniform))


@dataclass(frozen=True)
class BanditConfig:
    """A bandit learns by counting: only when is a choice."""

    horizon: int = 1
    """Pulls of each environment between two updates."""

    def __post_init__(self) -> None:
        require(self.horizon >= 1, "horizon", self.horizon, "at least 1 pull")


class Bandit:
    """Learns from rollouts [T, N]: it counts."""

    def __init__(self, policy: BanditPolicy) -> None:
        self.policy = policy

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        """Raises UserError for a reward other than 0 and 1, which has no Beta posterior."""
        data = to_samples(batch, {"reward": batch["reward"]})
        arm, reward = moved(data["action"], self.policy.device), moved(data["reward"], self.policy.device)
        other = reward[(reward != 0) & (reward != 1)]
        if len(other):
            raise UserError(f"reward {other[0].item():g}: each arm of a bandit pays 0 or 1")
        self.policy.count(arm, reward)
        pulls = self.policy.pulls
        return {"policy/most_pulled_fraction": Last(pulls.max() / pulls.sum())}, {}

    def state_dict(self) -> State:
        return {"policy": self.policy.save()}

    def load_state_dict(self, state: State) -> None:
        self.policy.load_state_dict(state["policy"]["weights"])


@dataclass(frozen=True, kw_only=True)
class BanditRunConfig(ActingConfig):
    """What every bandit experiment shares; with one environment, each pull is learned from before the next."""

    agent: BanditConfig = BanditConfig()
    policy: BanditPolicyConfig = BanditPolicyConfig()
    num_envs: int = 1
    env: EnvConfig = EnvConfig("envs.tasks:BernoulliBandit-v0")


def train(config: BanditRunConfig, run: Run) -> None:
    """One run of a bandit. Of all its pulls the regret is measured at the end, if the environment tells its arms."""
    with (
        closing(acting.make_collector(config)) as collector,
        closing(Evaluation(config.env, config.evaluation, seed=config.seed)) as evaluate,
    ):
        spaces = collector.observation_space, collector.action_space
        policy = BanditPolicy(*spaces, config.policy, generator(config.seed, "weights"))
        compute = choose_compute(config, run, policy, gradient_steps=0, samples_per_step=0)
        agent, stream = Bandit(policy), Rollouts(collector, policy, config.agent.horizon)
        now, checkpoint = fit_run(config, run, compute, agent, stream, evaluate)
        env = make_env(config.env).unwrapped
        told = {"training/regret": regret(policy, env.probabilities)} if isinstance(env, BernoulliBandit) else {}
        acting.finish(run, agent, evaluate, now, checkpoint, told)


def regret(policy: BanditPolicy, probabilities: Array) -> float:
    """What all pulls of other arms than the best have cost on average: sum of n_k (max p - p_k) (Auer et al. 2002).

    The policy never sees the probabilities [K].
    """
    return float(policy.pulls.cpu().numpy() @ (probabilities.max() - probabilities))
