"""What on-policy algorithms read from a rollout: discounts, values, and its steps as samples."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from agents.policies.actor_critic import ActorCritic
from agents.updates.configs import VTraceConfig
from agents.updates.estimators import vtrace
from training.core import Batch


class HasValue(Protocol):
    """What knows the value of observations, such as an `ActorCritic`, perhaps by the actions that are allowed."""

    def value(self, batch: Batch) -> Tensor: ...


def discount(batch: Batch, gamma: float) -> Tensor:
    """gamma * (1 - terminated), [T, N]: a truncated episode would have gone on.

    Where the opponent moves next it is negative: what is then worth something to that one costs as much.
    """
    kept = gamma * (~batch["terminated"]).float()
    return torch.where(batch["opponent_next"], -kept, kept) if "opponent_next" in batch else kept


def continues(batch: Batch) -> Tensor:
    """1 where the next row belongs to the same episode, [T, N]."""
    return (~(batch["terminated"] | batch["truncated"])).float()


@torch.no_grad()
def values(policy: HasValue, batch: Batch) -> tuple[Tensor, Tensor]:
    """The value of each observation acted on, and of the next one of the same episode, both [T, N]; at a truncation the
    next one is the final observation."""
    value = policy.value(_seen(batch, ""))
    next_value = value[1:].clone()
    t, n = batch["final_index"].unbind(1)
    if len(t):
        next_value[t, n] = policy.value(_seen(batch, "final_"))
    return value[:-1], next_value


def _seen(batch: Batch, prefix: str) -> Batch:
    """Observations and, where there are any, the actions that are allowed after them."""
    mask = batch.get(f"{prefix}action_mask")
    return observations(batch, f"{prefix}obs") | ({} if mask is None else {"action_mask": mask})


@torch.no_grad()
def with_vtrace(policy: ActorCritic, batch: Batch, config: VTraceConfig) -> Batch:
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
        discount(batch, config.gamma),
        value,
        next_value,
        continues(batch),
        clip_rho=config.clip_rho,
        clip_c=config.clip_c,
        trace_lambda=config.trace_lambda,
    )
    return {
        "return": target,
        "advantage": advantage,
        "value": value,
        "log_prob": log_prob,
        "ratio": log_ratio.exp(),
    }


def next_obs(batch: Batch) -> Batch:
    """The next observation of the same episode after each step, [T, N, ...] under the names of `obs`."""
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
