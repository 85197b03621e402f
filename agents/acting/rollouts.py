"""The on-policy stream: rollouts of a fixed length, each made with the newest policy."""

from __future__ import annotations

from agents.acting.collector import Collector, count_env_steps, rollout_bytes
from agents.acting.ranges import range_metrics
from agents.policies.policy import NetworkPolicy
from agents.updates.reward_scale import RewardScale
from agents.updates.rollout_samples import to_samples
from training.core import Batch, Counters, to_device
from training.machine import require_memory
from training.metrics import Last, Metrics, merge_metrics
from training.state import State

STATISTICS_ENV_STEPS = 1_000
"""At least so many, in whole rollouts, are made before the first update where observations are normalized."""


class Rollouts:
    """Rollouts of `horizon` steps in every environment, [T, N], each made with the policy of the last update.

    With a `reward_scale` the rewards that the algorithm sees are divided by the running standard deviation of the
    discounted return, with `clip_reward` they are the signs of the environment's (and these are what is then scaled);
    the episodes' statistics stay those of the environment.

    A policy that normalizes observations and has seen none yet learns their mean and variance from rollouts of their
    own, which are counted and then left: the first update would otherwise learn on numbers of another scale than all
    that follow.
    """

    def __init__(
        self,
        collector: Collector,
        policy: NetworkPolicy,
        horizon: int,
        reward_scale: RewardScale | None = None,
        *,
        clip_reward: bool = False,
    ) -> None:
        self._collector = collector
        self._policy = policy
        self._horizon = horizon
        self._reward_scale = reward_scale
        self._clip_reward = clip_reward
        num_envs, spaces = collector.num_envs, (collector.observation_space, collector.action_space)
        what = f"agent.horizon = {horizon} of num_envs = {num_envs}: a rollout"
        require_memory(rollout_bytes(*spaces, horizon, num_envs), what, "a smaller one of them takes less")

    @property
    def inexact(self) -> list[str]:
        return self._collector.inexact

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        env_steps, collected = 0, list[Metrics]()
        if now.env_steps == 0 and self._policy.lacks_statistics:
            env_steps, collected = self._learn_statistics(version=now.updates - 1)
        self._collector.publish(self._policy, version=now.updates)
        batch, metrics = self._collect()
        if collected:
            metrics = merge_metrics([*collected, metrics])
        env_steps += count_env_steps(batch, self._collector.num_agents)
        return batch, now.advance(env_steps=env_steps, samples=count_env_steps(batch)), metrics

    def _learn_statistics(self, version: int) -> tuple[int, list[Metrics]]:
        """Returns the env steps that it took, and what was measured in them."""
        self._collector.publish(self._policy, version)
        env_steps, rollouts, measured = 0, list[Batch](), list[Metrics]()
        while env_steps < STATISTICS_ENV_STEPS:
            batch, metrics = self._collect()
            env_steps += count_env_steps(batch, self._collector.num_agents)
            rollouts.append(batch)
            measured.append(metrics)
        for batch in rollouts:  # at the end: a policy in another process acts with what was published
            self._policy.update_normalizers(to_samples(to_device(batch, self._policy.device), {}))
        return env_steps, measured

    def _collect(self) -> tuple[Batch, Metrics]:
        batch, metrics = self._collector.collect(self._horizon)
        metrics |= range_metrics(batch)
        if self._clip_reward:
            batch["reward"] = batch["reward"].sign()
        if self._reward_scale is not None:
            is_first = batch["is_first"][: self._horizon]
            batch["reward"] = self._reward_scale(batch["reward"], is_first, batch.get("valid"))
            metrics["rollout/discounted_return_std"] = Last(self._reward_scale.std)
        return batch, metrics

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: the next rollout is made with the new weights."""

    def state_dict(self) -> State:
        scale = None if self._reward_scale is None else self._reward_scale.state_dict()
        return {"collector": self._collector.state_dict(), "reward_scale": scale}

    def load_state_dict(self, state: State) -> None:
        self._collector.load_state_dict(state["collector"])
        if self._reward_scale is not None and state["reward_scale"] is not None:  # otherwise its statistics begin now
            self._reward_scale.load_state_dict(state["reward_scale"])
