"""The losses that several algorithms share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import huber_loss, mse_loss

from agents.policies.actor import Actor
from agents.policies.actor_critic import ActorCritic
from agents.updates.configs import ActorCriticLossConfig, ClippedConfig
from training.core import Batch
from training.metrics import Mean, Metrics, merge_metrics
from training.optimizer import Loss

LARGEST_WEIGHT = 100.0
"""Of a sample that is imitated by its advantage."""
LARGEST_ACTION = 0.995
"""Actions at the very bound of their range would need an infinite mean before tanh."""


def actor_critic_loss(policy: ActorCritic, config: ActorCriticLossConfig, batch: Batch) -> Loss:
    """The policy gradient, the value error and the entropy bonus of samples [B, ...].

    `batch` holds what the policy evaluates and `advantage` and `return`, each [B]. Source: Mnih et al. 2016,
    algorithm S3, with the entropy of its section 4.
    """
    log_prob, entropy, value = policy.evaluate(batch)
    policy_loss = -log_prob * batch["advantage"]
    value_loss = (value - batch["return"]).square()
    loss = policy_loss + config.value_coefficient * value_loss - config.entropy_coefficient * entropy
    with torch.no_grad():
        metrics: Metrics = {
            "policy/loss": Mean(policy_loss.mean(), len(loss)),
            "policy/entropy": Mean(entropy.mean(), len(loss)),
            "value/loss": Mean(value_loss.mean(), len(loss)),
        }
    return Loss(loss.sum(), len(loss), metrics)


def ppo_loss(evaluated: tuple[Tensor, Tensor, Tensor], config: ClippedConfig, clip_range: Tensor, batch: Batch) -> Loss:
    """The surrogate, the value error and the entropy bonus of samples (Schulman et al. 2017, equation 9).

    `evaluated` are their log-probability, entropy and value now, `batch` holds `log_prob`, `advantage` and `return`,
    each [B]; `clip_range` is [].
    """
    log_prob, entropy, value = evaluated
    log_ratio = log_prob - batch["log_prob"]
    ratio = log_ratio.exp()
    if config.objective == "spo":
        surrogate, is_clipped = spo_surrogate(ratio, batch["advantage"], clip_range)
    else:
        above = clip_range * config.above_to_below if config.above_to_below != 1 else clip_range
        surrogate, is_clipped = clipped_surrogate(ratio, batch["advantage"], clip_range, above)
    policy_loss = -surrogate
    value_loss = mse_loss(value, batch["return"], reduction="none")  # has fewer operations backwards than a square
    loss = policy_loss + config.value_coefficient * value_loss
    if config.entropy_coefficient:  # otherwise only measured
        loss = loss - config.entropy_coefficient * entropy
    with torch.no_grad():
        measured = {
            "policy/loss": policy_loss,
            "policy/entropy": entropy,
            # An estimate of KL(old || new) that is never negative (http://joschu.net/blog/kl-approx.html, k3).
            "policy/kl": ratio - 1 - log_ratio,
            "policy/clipped_fraction": is_clipped,
            "value/loss": value_loss,
        }
        # One reduction instead of five.
        means = torch.stack([values.float() for values in measured.values()]).mean(1)
    metrics: Metrics = {key: Mean(value, len(loss)) for key, value in zip(measured, means.unbind(), strict=True)}
    return Loss(loss.sum(), len(loss), metrics)


def clipped_surrogate(ratio: Tensor, advantage: Tensor, below: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
    """`agents.ppo.surrogate` [B] in a form with few operations backwards, and which of the ratios were out of range.

    A clipped ratio has no gradient, so that it need not be differentiated: choosing between the two is enough.
    """
    with torch.no_grad():
        clipped = ratio.clamp(1 - below, 1 + above)
        clipped_is_less = clipped * advantage < ratio * advantage
        is_clipped = ratio != clipped
    return torch.where(clipped_is_less, clipped, ratio) * advantage, is_clipped


def spo_surrogate(ratio: Tensor, advantage: Tensor, clip_range: Tensor) -> tuple[Tensor, Tensor]:
    """Simple policy optimization's surrogate [B], and which of the ratios are out of range.

    ratio * A - |A| / (2 * range) * (ratio - 1)^2 (Xie et al. 2024, https://arxiv.org/abs/2401.16025): its slope is 0
    where the ratio reaches the end of the range that the advantage leads to.
    """
    surrogate = ratio * advantage - advantage.abs() / (2 * clip_range) * (ratio - 1).square()
    return surrogate, (ratio.detach() - 1).abs() > clip_range


def mean_kl(epoch: Sequence[Metrics]) -> float:
    """How far the policy has moved in the gradient steps of an epoch; 0 where every one of them was skipped."""
    kl = merge_metrics(epoch).get("policy/kl")
    return float(kl.value) if kl else 0.0


def quantile_huber(quantiles: Tensor, target: Tensor, kappa: float = 1.0) -> Tensor:
    """The loss [...] of quantiles [..., n] at the middles of n equal shares, for targets [..., m].

    Summed over the quantiles, averaged over the targets (Dabney et al. 2018, equation 10). Errors up to `kappa` count
    squared, larger ones by their size.
    """
    count = quantiles.shape[-1]
    tau = (torch.arange(count, device=quantiles.device) + 0.5) / count
    error = target.unsqueeze(-2) - quantiles.unsqueeze(-1)  # [..., n, m]
    huber = huber_loss(error, torch.zeros_like(error), reduction="none", delta=kappa) / kappa
    below = (error.detach() < 0).float()
    return ((tau.unsqueeze(-1) - below).abs() * huber).mean(-1).sum(-1)


def weighted_imitation_loss(policy: Actor, batch: Batch, advantage: Tensor, inverse_temperature: float) -> Loss:
    """-exp(inverse_temperature * advantage) * log pi(action), with the weight and the action bounded; advantage [B].

    It is that of AWAC and of IQL, whose published codes have this bound on the weight.
    """
    weight = (inverse_temperature * advantage).exp().clamp(max=LARGEST_WEIGHT)
    action = batch["action"].clamp(-LARGEST_ACTION, LARGEST_ACTION)
    loss = -weight * policy.log_prob(batch | {"action": action})
    return Loss(loss.sum(), len(loss), {"policy/advantage": Mean(advantage.mean(), len(loss))})
