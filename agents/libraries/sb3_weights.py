"""Loads weights that Stable-Baselines3 trained into our policies."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from agents.libraries.sb3 import SB3Policy
from agents.policies.actor_critic import ActorCritic
from agents.policies.policy import NetworkPolicy
from training.errors import require


def load_weights(policy: NetworkPolicy, trained: SB3Policy) -> None:
    """Gives one of our policies the weights of one of Stable-Baselines3's, to go on from with our algorithms.

    An `ActorCritic` takes them from PPO and A2C, an `Actor` from SAC (as a Gaussian), TD3 and DDPG (deterministic), a
    `QNetwork` from DQN; greedy, it then acts alike. Critics of SAC and TD3 belong to their algorithms, and stay.

    Raises:
        UserError: another architecture; names a weight that has no counterpart of its shape.
    """
    rescales = policy.config.rescale_action if isinstance(policy, ActorCritic) and policy.heads.log_std else False
    takes = "False here: Stable-Baselines3's PPO and A2C learn actions in the environment's units"
    require(not rescales, "policy.rescale_action", rescales, takes)
    ours, theirs = policy.config.network.activation, trained.network.activation_fn.__name__.lower()  # type: ignore[union-attr, operator]
    require(ours == theirs, "policy.network.activation", ours, f"{theirs!r}, as {trained.config.algorithm} has")
    given = _by_our_names(policy, trained.network.state_dict())
    for name, value in policy.named_parameters():
        found = None if name not in given else tuple(given[name].shape)
        takes = f"{tuple(value.shape)}, as a {type(policy).__name__} of this config has"
        require(found == tuple(value.shape), f"shape of {trained.config.algorithm}'s {name}", found, takes)
        with torch.no_grad():
            value.copy_(given[name])


def _by_our_names(policy: NetworkPolicy, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of Stable-Baselines3's policy under the names that ours has for them."""
    given: dict[str, torch.Tensor] = {}
    depth = 2 * len(policy.config.network.hidden)  # the place of the last layer: between two others is an activation
    prefixes = {
        "mlp_extractor.policy_net.": "actor.",
        "action_net.": f"actor.{depth}.",
        "mlp_extractor.value_net.": "critic.",
        "value_net.": f"critic.{depth}.",
        "log_std": "heads.log_std.action",
        "q_net.q_net.": "q.",
        "actor.latent_pi.": "trunk.",
        f"actor.mu.{depth}.": "last.",
        "actor.mu.": "trunk.",
    }
    for name, value in weights.items():
        for theirs, ours in prefixes.items():
            if name.startswith(theirs):
                given[ours + name.removeprefix(theirs)] = value
                break
    if "actor.log_std.weight" in weights:  # a Gaussian's two last layers are one of ours
        for half in ("weight", "bias"):
            given[f"last.{half}"] = torch.cat([weights[f"actor.mu.{half}"], weights[f"actor.log_std.{half}"]])
    return given
