"""The off-policy stream: steps of the newest policy go into a buffer, minibatches of transitions come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from agents.acting.collector import Collector, count_env_steps
from agents.acting.ranges import range_metrics
from agents.policies.policy import NetworkPolicy
from agents.replay.buffer import ReplayBuffer
from agents.replay.sum_tree import Rows
from agents.updates.rollout_samples import to_samples
from training.core import Batch, Budget, Counters, to_device
from training.errors import UserError, require
from training.machine import require_memory
from training.metrics import Last, Metrics, merge_metrics
from training.seeding import generator
from training.state import State

WARMUP_HORIZON = 128
"""Steps of each environment that are collected at a time before the first update."""


@dataclass(frozen=True)
class ReplayConfig:
    """How much is remembered, how much is collected between two updates, and how minibatches are drawn."""

    capacity: int = 1_000_000
    """Observations kept, over all environments together; each episode's last one counts too."""
    warmup_env_steps: int = 1_000
    """Steps before the first update."""
    warmup_mode: Literal["random", "explore"] = "random"
    """How to act in them: at random, or, with a policy that has learned before, as later."""
    horizon: int = 1
    """Steps of each environment between two updates."""
    gradient_steps: int = 1
    """Minibatches in one update."""
    minibatch_size: int = 256
    n_step: int = 1
    """Rewards that are summed before the value of an observation stands for the rest."""
    priority_exponent: float = 0.0
    """Draw transitions in proportion to their last error to this power (Schaul et al. 2016); 0: all alike."""
    importance_exponent: float = 0.4
    """How much of that bias is corrected at first; it rises to 1, all of it, over the run."""
    hindsight_fraction: float = 0.0
    """Of the transitions, how many get a goal that their episode reached later; 0.8 in Andrychowicz et al. 2017."""
    data_fraction: float = 0.5
    """Of each minibatch, how much is drawn from the `dataset`, where there is one."""

    def __post_init__(self) -> None:
        require(self.minibatch_size >= 2, "minibatch_size", self.minibatch_size, "at least 2 transitions")
        takes = f"at least the {self.minibatch_size} of a minibatch"
        require(self.capacity >= self.minibatch_size, "capacity", self.capacity, takes)
        takes = f"an integer from 0 to less than the capacity of {self.capacity}"
        require(0 <= self.warmup_env_steps < self.capacity, "warmup_env_steps", self.warmup_env_steps, takes)
        for key in ("horizon", "gradient_steps", "n_step"):
            require(getattr(self, key) >= 1, key, getattr(self, key), "at least 1")
        for key in ("priority_exponent", "importance_exponent", "hindsight_fraction", "data_fraction"):
            require(0 <= getattr(self, key) <= 1, key, getattr(self, key), "a number from 0 to 1")
        alone = not self.hindsight_fraction or (self.n_step == 1 and not self.priority_exponent)
        takes = "0 together with n_step or priority_exponent: their rewards and errors are those of the old goal"
        require(alone, "hindsight_fraction", self.hindsight_fraction, takes)

    @property
    def from_data(self) -> int:
        """Of each minibatch, the transitions of the dataset."""
        return round(self.data_fraction * self.minibatch_size)


class ComputeReward(Protocol):
    """A goal environment's own function, over many transitions [B] (Gymnasium-Robotics' GoalEnv)."""

    def __call__(self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], info: Any) -> NDArray[Any]: ...


class Replay:
    """Yields `gradient_steps * minibatch_size` transitions at a time, one minibatch after another.

    They are samples [B, ...] (see `training.core.Batch`) with `next_obs` and `discount`, and, where they are drawn by
    priority, with `index` and `weight`: the algorithm then feeds back `index` and `priority`.

    Args:
        collector: steps the environments.
        policy: acts in them.
        config: of this stream.
        gamma: for returns of several steps.
        until: the run's budget, over which the correction of priorities rises.
        seed: of the draws.
        compute_reward: of a goal environment, for hindsight.
        clip_reward: remember the sign of each reward; the episodes' statistics stay those of the environment.
        data: the transitions of a dataset, which are the `data_fraction` of each minibatch (Ball et al. 2023,
            https://arxiv.org/abs/2302.02948, section 4.1).
    """

    def __init__(
        self,
        collector: Collector,
        policy: NetworkPolicy,
        config: ReplayConfig,
        *,
        gamma: float,
        until: Budget,
        seed: int,
        compute_reward: ComputeReward | None = None,
        clip_reward: bool = False,
        data: ReplayBuffer | None = None,
    ) -> None:
        self._collector, self._policy, self._config = collector, policy, config
        self._gamma, self._until, self._compute_reward = gamma, until, compute_reward
        self._clip_reward, self._data = clip_reward, data
        self._rng = generator(seed, "replay")
        self._buffer = ReplayBuffer(config.capacity, collector.num_envs)
        warmup_horizon = -(-config.warmup_env_steps // collector.num_envs)
        horizon = max(config.horizon, min(warmup_horizon, WARMUP_HORIZON))
        # Each step may end an episode, whose last observation has a row of its own.
        takes = f"more than {2 * horizon * collector.num_envs}: {horizon} steps of each environment come at once"
        require(self._buffer.places > 2 * horizon, "replay.capacity", config.capacity, takes)
        spaces, prioritized = (collector.observation_space, collector.action_space), bool(config.priority_exponent)
        needed = self._buffer.nbytes_for(*spaces, prioritized=prioritized)
        what = f"replay.capacity = {config.capacity}: the replay memory"
        require_memory(needed, what, "a smaller replay.capacity takes less")
        if prioritized:
            self._buffer.prioritize()

    @property
    def inexact(self) -> list[str]:
        return self._collector.inexact

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        config, env_steps, collected = self._config, 0, list[Metrics]()
        if now.env_steps == 0 and config.warmup_env_steps:
            env_steps, collected = self._warm_up(version=now.updates - 1)
        self._collector.publish(self._policy, version=now.updates)
        rollout, metrics = self._collector.collect(config.horizon)
        metrics |= range_metrics(rollout)
        env_steps += self._add(rollout)
        if collected:
            metrics = merge_metrics([*collected, metrics])
        batch = self._draw(now)
        metrics["replay/size_bytes"] = Last(self._buffer.nbytes)
        samples = len(batch["reward"])
        return batch, now.advance(env_steps=env_steps, samples=samples), metrics

    def _warm_up(self, version: int) -> tuple[int, list[Metrics]]:
        """Returns the env steps that it took, and what was measured in them.

        A policy that normalizes observations and has seen none yet learns their mean and variance here: the first
        update would otherwise learn on numbers of another scale than all that follow.
        """
        config, env_steps, measured, seen = self._config, 0, list[Metrics](), list[Batch]()
        lacks_statistics = self._policy.lacks_statistics
        self._collector.publish(self._policy, version)
        while env_steps < config.warmup_env_steps:
            left = -(-(config.warmup_env_steps - env_steps) // self._collector.num_envs)
            rollout, metrics = self._collector.collect(min(left, WARMUP_HORIZON), config.warmup_mode)
            if lacks_statistics:
                seen.append(to_samples(to_device(rollout, self._policy.device), {}))
            env_steps += self._add(rollout)
            measured.append(metrics)
        for samples in seen:
            self._policy.update_normalizers(samples)
        return env_steps, measured

    def _add(self, rollout: Batch) -> int:
        """Takes in a rollout; returns its env steps."""
        if self._clip_reward:
            rollout = rollout | {"reward": rollout["reward"].sign()}
        self._buffer.add(rollout)
        return count_env_steps(rollout)

    def _draw(self, now: Counters) -> Batch:
        config, buffer = self._config, self._buffer
        if config.priority_exponent:
            rows, probability = buffer.draw_by_priority(config.gradient_steps, config.minibatch_size, self._rng)
            batch = buffer.transitions_at(rows, gamma=self._gamma, n_step=config.n_step)
            beta = config.importance_exponent + (1 - config.importance_exponent) * self._until.fraction(now)
            weight = probability**-beta
            # Relative to the largest of the minibatch, so that they only make steps smaller (section 3.4).
            weight = weight.reshape(config.gradient_steps, -1)
            weight = (weight / weight.max(1, keepdims=True)).astype(np.float32)
            return batch | {"index": torch.from_numpy(rows), "weight": torch.from_numpy(weight.reshape(-1))}
        own = config.minibatch_size if self._data is None else config.minibatch_size - config.from_data
        rows = buffer.draw(config.gradient_steps * own, self._rng)
        batch = buffer.transitions_at(rows, gamma=self._gamma, n_step=config.n_step)
        if self._data is not None:
            return self._with_data(batch, self._data)
        return self._with_later_goals(batch, rows) if config.hindsight_fraction else batch

    def _with_data(self, batch: Batch, data: ReplayBuffer) -> Batch:
        """Adds to each minibatch its share of the dataset's transitions."""
        config = self._config
        rows = data.draw(config.gradient_steps * config.from_data, self._rng)
        given = data.transitions_at(rows, gamma=self._gamma, n_step=config.n_step)

        def joined(*parts: torch.Tensor) -> torch.Tensor:
            return torch.cat([part.unflatten(0, (config.gradient_steps, -1)) for part in parts], 1).flatten(0, 1)

        return {key: joined(value, given[key]) for key, value in batch.items()}

    def _with_later_goals(self, batch: Batch, rows: Rows) -> Batch:
        """Gives some of the transitions a goal that was reached later in their episode, and its reward.

        `discount` stays what it was, so episodes should end at a limit and not at the goal; the reward is asked for
        with an empty `info`.
        """
        assert self._compute_reward is not None
        chance, fraction = torch.rand(2, len(rows), generator=self._rng).numpy()
        later = self._buffer.column("obs/achieved_goal", self._buffer.later_rows(rows, fraction))
        changes = chance < self._config.hindsight_fraction
        goal = np.where(_broadcast(changes, later), later, batch["obs/desired_goal"].numpy())
        reward = self._compute_reward(batch["next_obs/achieved_goal"].numpy(), goal, {})
        return batch | {
            "obs/desired_goal": torch.from_numpy(goal),
            "next_obs/desired_goal": torch.from_numpy(goal),
            "reward": torch.from_numpy(np.where(changes, np.asarray(reward, np.float32), batch["reward"].numpy())),
        }

    def learned(self, feedback: Batch) -> None:
        if self._config.priority_exponent:
            priority = feedback["priority"].cpu().double().numpy()
            # A small number above 0, so that every transition is drawn again some day (section 3.3).
            self._buffer.set_priorities(feedback["index"].numpy(), (priority + 1e-6) ** self._config.priority_exponent)

    def state_dict(self) -> State:
        return {
            "collector": self._collector.state_dict(),
            "buffer": self._buffer.state_dict(),
            "priority_exponent": self._config.priority_exponent,
            "rng": self._rng.get_state(),
        }

    def load_state_dict(self, state: State) -> None:
        self._collector.load_state_dict(state["collector"])
        # Its priorities are errors to the power that was asked for then.
        asked = self._config.priority_exponent
        saved = state.get("priority_exponent", asked)
        self._buffer.load_state_dict(state["buffer"], priority_power=asked / saved if asked and saved else 1.0)
        self._rng.set_state(state["rng"])


def _broadcast(mask: NDArray[np.bool_], like: NDArray[Any]) -> NDArray[np.bool_]:
    """A mask [B], shaped to choose rows of an array [B, ...]."""
    return mask.reshape(-1, *(1,) * (like.ndim - 1))


def goal_reward(env: Any) -> ComputeReward:
    """The reward function of a goal environment; raises a UserError for one that has no goals."""
    parts = getattr(env.observation_space, "spaces", {})
    compute = getattr(env.unwrapped, "compute_reward", None)
    if not {"achieved_goal", "desired_goal"} <= set(parts) or compute is None:
        raise UserError(
            f"replay.hindsight_fraction: {env.spec.id} has no goals; it takes an environment whose observation has "
            "'achieved_goal' and 'desired_goal' and that has compute_reward"
        )
    return compute  # type: ignore[no-any-return]
