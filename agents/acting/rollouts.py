"""The on-policy stream, fixed-length rollouts of the newest policy, and what on-policy algorithms read from them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agents.acting.collector import Collector, count_env_steps
from agents.acting.reward_scale import RewardScale
from agents.policies.actor_critic import ActorCritic
from agents.policies.policy import NetworkPolicy
from agents.updates.estimators import vtrace
from training.core import Batch, Counters, moved
from training.metrics import Last, Metrics
from training.state import State


class Rollouts:
    """Rollouts of `horizon` steps in every environment, [T, N], each made with the policy of the last update.

    With a `reward_scale` the rewards that the algorithm sees are divided by the running standard deviation of the
    discounted return; the episodes' statistics stay those of the environment.
    """

    def __init__(
        self, collector: Collector, policy: NetworkPolicy, horizon: int, reward_scale: RewardScale | None = None
    ) -> None:
        self._collector = collector
        self._policy = policy
        self._horizon = horizon
        self._reward_scale = reward_scale

    @property
    def inexact(self) -> list[str]:
        return self._collector.inexact

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        self._collector.publish(self._policy, version=now.updates)
        batch, metrics = self._collector.collect(self._horizon)
        if self._reward_scale is not None:
            is_first = batch["is_first"][: self._horizon]
            batch["reward"] = self._reward_scale(batch["reward"], is_first, batch.get("valid"))
            metrics["rollout/discounted_return_std"] = Last(self._reward_scale.std)
        env_steps = count_env_steps(batch)
        return batch, now.advance(env_steps=env_steps, samples=env_steps), metrics

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: the next rollout is made with the new weights."""

    def state_dict(self) -> State:
        scale = None if self._reward_scale is None else self._reward_scale.state_dict()
        return {"collector": self._collector.state_dict(), "reward_scale": scale}

    def load_state_dict(self, state: State) -> None:
        self._collector.load_state_dict(state["collector"])
        if self._reward_scale is not None:
            self._reward_scale.load_state_dict(state["reward_scale"])


def discount(batch: Batch, gamma: float) -> Tensor:
    """gamma * (1 - terminated), [T, N]: a truncated episode would have gone on."""
    return gamma * (~batch["terminated"]).float()


def continues(batch: Batch) -> Tensor:
    """1 where the next row belongs to the same episode, [T, N]."""
    return (~(batch["terminated"] | batch["truncated"])).float()


@torch.no_grad()
def values(policy: ActorCritic, batch: Batch) -> tuple[Tensor, Tensor]:
    """The value of each observation acted on, and of the one that followed across no reset, both [T, N]."""
    value = policy.value(observations(batch, "obs"))
    next_value = value[1:].clone()
    t, n = batch["final_index"].unbind(1)
    if len(t):
        next_value[t, n] = policy.value(observations(batch, "final_obs"))
    return value[:-1], next_value


@torch.no_grad()
def with_vtrace(
    policy: ActorCritic, batch: Batch, *, gamma: float, clip_rho: float, clip_c: float, trace_lambda: float
) -> Batch:
    """What V-trace says of every step of a rollout, [T, N]: `return`, `advantage`, and what they were made of.

    That is `value`, `log_prob` of the policy that acted, which is this one where the batch has none, and `ratio`.
    """
    value, next_value = values(policy, batch)
    now = policy.log_prob(acted_on(batch))
    log_prob = batch.get("log_prob", now)
    log_ratio = now - log_prob
    target, advantage = vtrace(
        log_ratio,
        batch["reward"],
        discount(batch, gamma),
        value,
        next_value,
        continues(batch),
        clip_rho=clip_rho,
        clip_c=clip_c,
        trace_lambda=trace_lambda,
    )
    return {
        "return": target,
        "advantage": advantage,
        "value": value,
        "log_prob": log_prob,
        "ratio": log_ratio.exp(),
    }


def next_obs(batch: Batch) -> Batch:
    """The observation that followed each step across no reset, [T, N, ...] under the names of `obs`."""
    final = observations(batch, "final_obs")
    t, n = batch["final_index"].unbind(1)
    reached = {key: value[1:].clone() for key, value in observations(batch, "obs").items()}
    for key, value in reached.items():
        value[t, n] = final[key]
    return reached


def acted_on(batch: Batch) -> Batch:
    """What was seen and what was done on it in every step, [T, N, ...]."""
    horizon, names = len(batch["reward"]), ("obs", "action", "action_mask")
    return {key: value[:horizon] for key, value in batch.items() if key.split("/")[0] in names}


def to_samples(batch: Batch, more: Batch) -> Batch:
    """Observations, actions and `more` [T, N] of every step as samples [B, ...]; those not `valid` are left out."""
    flat = {key: value.flatten(0, 1) for key, value in (acted_on(batch) | more).items()}
    if "valid" not in batch:
        return flat
    valid = batch["valid"].flatten()
    return {key: value[valid] for key, value in flat.items()}


def shuffled_minibatches(data: Batch, size: int, rng: torch.Generator) -> Sequence[Tensor]:
    """The rows [size] of each minibatch of one epoch over samples [B, ...], in random order."""
    some = next(iter(data.values()))
    rows: tuple[Tensor, ...] = moved(torch.randperm(len(some), generator=rng), some.device).split(size)
    return rows


def observations(batch: Batch, name: str) -> Batch:
    """The observations called `name`, under the names that the policy knows."""
    return {"obs" + key[len(name) :]: value for key, value in batch.items() if key.split("/")[0] == name}


def explained_variance(predicted: Tensor, target: Tensor) -> Tensor:
    """How much of the target's variance the prediction explains, of samples [B]: 1 is all, 0 no more than the mean."""
    return 1 - (target - predicted).var() / target.var().clamp(min=1e-12)


def normalized(advantage: Tensor) -> Tensor:
    """The advantages of samples [B], with mean 0 and standard deviation 1; one alone is only centred."""
    centred = advantage - advantage.mean()
    return centred / (advantage.std() + 1e-8) if len(advantage) > 1 else centred


def with_normalized_advantage(samples: Batch) -> Batch:
    """The samples with their `advantage` [B] normalized (Huang et al. 2022, 37 implementation details, detail 7)."""
    return samples | {"advantage": normalized(samples["advantage"])}
