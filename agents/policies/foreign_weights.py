"""Weights that another library trained, for a policy of ours to begin with.

Stable-Baselines3's .zip and CleanRL's .cleanrl_model are read as they are, anything else as named tensors in a
.safetensors or .pt file. Nothing in a file is executed: of a pickle only its tensors are taken.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor

from agents.policies.actor_critic import ActorCritic
from agents.policies.policy import NetworkPolicy
from training.errors import UserError, require

STATISTICS = {"obs_rms.mean": "mean", "obs_rms.var": "variance", "obs_rms.count": "count"}
"""Running statistics of observations, by the names of Stable-Baselines3's VecNormalize and Gymnasium's wrapper."""
BESIDE = ("critic.", "last_mean.", "last_log_std.")
"""What a policy need not take: the critics of another library's actors, and what was joined."""
HALVES = ("last_mean.", "last_log_std.")
"""The two last layers of other libraries' Gaussian actors, which are one layer of ours."""


@dataclass(frozen=True)
class ForeignWeights:
    """What a file of weights holds."""

    tensors: dict[str, Tensor]
    """By the names that the other library has for them."""
    activation: str | None
    """That between the layers, where the file says it."""
    sha256: str
    """Of the file."""


def read_weights(path: Path) -> ForeignWeights:
    """The weights in a file. Raises UserError when it has none, or cannot be read without running its code."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"initial_weights: {path} cannot be read: {error.strerror}") from None
    sha256 = hashlib.sha256(content).hexdigest()
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return ForeignWeights(_tensors(path, content), None, sha256)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if "policy.pth" not in archive.namelist():  # the files of torch are such archives too
            return ForeignWeights(_tensors(path, content), None, sha256)
        tensors = _tensors(path, archive.read("policy.pth"))
        return ForeignWeights(tensors, _activation(json.loads(archive.read("data"))), sha256)


def load_weights(
    policy: NetworkPolicy, weights: Mapping[str, Tensor], *, source: str, activation: str | None = None
) -> None:
    """Gives one of our policies weights by the names that another library has for them.

    An `ActorCritic` takes those of PPO and A2C (Stable-Baselines3, CleanRL, RLlib), an `Actor` those of SAC (as a
    Gaussian), TD3 and DDPG (deterministic), a `QNetwork` those of DQN and CleanRL's C51; greedy, it then acts alike.
    The critics of SAC and TD3 belong to their algorithms, and begin anew.

    Args:
        policy: of the same architecture.
        weights: by name; `obs_rms.mean`, `obs_rms.var` and `obs_rms.count` are the statistics by which observations
            were normalized.
        source: what the weights are called in an error.
        activation: that of the network that they come from, where it is known.

    Raises:
        UserError: another architecture; names a weight that has no counterpart of its shape.
    """
    own = policy.config.network.activation
    same = activation in (None, own) or not policy.config.network.hidden
    require(same, "policy.network.activation", own, f"{activation!r}, as {source} has")
    if isinstance(policy, ActorCritic) and policy.heads.log_std:
        in_bounds = any(name.startswith("pi.net.") for name in weights)
        takes = f"{in_bounds}: {source} learned actions " + (
            "in [-1, 1]" if in_bounds else "in the environment's units"
        )
        rescales = policy.config.rescale_action
        require(rescales == in_bounds, "policy.rescale_action", rescales, takes)
        require(not policy.config.squash, "policy.squash", policy.config.squash, f"False: {source} clips its actions")
    given = _by_our_names(policy, weights, source)
    normalized = policy.config.normalize_observation
    takes = f"{not normalized}: {source} has {'no ' if normalized else ''}statistics of observations (obs_rms.mean)"
    require(
        normalized == any("normalizers" in name for name in given), "policy.normalize_observation", normalized, takes
    )
    parameters = dict(policy.named_parameters()) | dict(policy.normalizers.named_buffers("normalizers"))
    for name, value in parameters.items():
        found = None if name not in given else tuple(given[name].shape)
        takes = f"{tuple(value.shape)}, as a {type(policy).__name__} of this config has"
        require(found == tuple(value.shape), f"shape of {name} in {source}", found, takes)
    beside = BESIDE[isinstance(policy, ActorCritic) :]
    beyond = [name for name in given if name not in parameters and not name.startswith(beside)]
    takes = f"the layers of {source}, which has more"
    require(not beyond, "policy.network.hidden", policy.config.network.hidden, takes)
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(given[name])


def _by_our_names(policy: NetworkPolicy, weights: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """The weights of another library's policy under the names that ours has for them.

    Raises UserError where two of them would have one name, as those of a deeper network do.
    """
    renamed: dict[str, Tensor] = {}
    prefixes = _prefixes(policy, of_images=any(value.dim() == 4 for value in weights.values()))
    for name, value in weights.items():
        found = next((prefix for prefix in prefixes if _begins(name, prefix)), None)
        if found is not None:
            own = prefixes[found] + name.removeprefix(found)
            takes = f"the layers of {source}, which has more"
            require(own not in renamed, "policy.network.hidden", policy.config.network.hidden, takes)
            renamed[own] = value
    if "heads.log_std.action" in renamed:  # CleanRL's has a dimension for the batch
        renamed["heads.log_std.action"] = renamed["heads.log_std.action"].flatten()
    mean, log_std = HALVES
    for half in ("weight", "bias"):
        parts = [renamed[name + half] for name in (mean, log_std) if name + half in renamed]
        if parts:
            renamed[f"last.{half}"] = torch.cat(parts)
    return renamed


def _begins(name: str, prefix: str) -> bool:
    """Whether a name begins so; what does not end with a dot is a whole name."""
    return name.startswith(prefix) if prefix.endswith(".") else name == prefix


def _prefixes(policy: NetworkPolicy, *, of_images: bool) -> dict[str, str]:
    """How the names of other libraries' layers begin, and how ours do; the first that fits counts."""
    last = 2 * len(policy.config.network.hidden)  # between two layers is an activation
    mean, log_std = HALVES
    images = f"{'actor_encoder' if isinstance(policy, ActorCritic) else 'encoder'}.encoders.obs.layers."
    of_network = {f"network.{layer}.": f"{images}{layer}." for layer in (0, 2, 4, 7)} | {"network.9.": "q.0."}
    return {
        **{theirs: f"normalizers.obs.{ours}" for theirs, ours in STATISTICS.items()},
        # Stable-Baselines3: PPO and A2C; DQN; SAC, TD3 and DDPG; images
        "mlp_extractor.policy_net.": "actor.",
        "mlp_extractor.value_net.": "critic.",
        "action_net.": f"actor.{last}.",
        "value_net.": f"critic.{last}.",
        "log_std": "heads.log_std.action",
        "q_net.q_net.": "q.",
        "actor.latent_pi.": "trunk.",
        f"actor.mu.{last}.": mean,
        **{f"actor.mu.{layer}.": f"trunk.{layer}." for layer in range(0, last, 2)},
        "actor.mu.": mean,
        "actor.log_std.": log_std,
        "features_extractor.cnn.": images,
        "features_extractor.linear.0.": f"{images}7.",
        "q_net.features_extractor.cnn.": images,
        "q_net.features_extractor.linear.0.": f"{images}7.",
        # CleanRL: PPO; DQN and C51; SAC, TD3 and DDPG
        **{f"{name}.{half}": f"{name}.0.{half}" for name in ("actor", "critic") for half in ("weight", "bias")},
        "actor_mean.": "actor.",
        "actor_logstd": "heads.log_std.action",
        "actor.": "actor.",
        "critic.": "critic.",
        **(of_network if of_images else {"network.": "q."}),
        **{f"fc{layer + 1}.": f"trunk.{2 * layer}." for layer in range(last // 2)},
        "fc_mean.": mean,
        "fc_mu.": mean,
        "fc_logstd.": log_std,
        # RLlib, its new API stack: PPO
        "encoder.actor_encoder.net.mlp.": "actor.",
        "encoder.critic_encoder.net.mlp.": "critic.",
        "pi.net.mlp.0.": f"actor.{last}.",
        "vf.net.mlp.0.": f"critic.{last}.",
        "pi.log_std": "heads.log_std.action",
    }


def _tensors(path: Path, content: bytes) -> dict[str, Tensor]:
    found: Any
    try:
        if path.suffix == ".safetensors":
            found = load_safetensors(content)
        else:
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # whatever is wrong with it, it is no file of tensors
        found = None
    if isinstance(found, tuple):  # CleanRL saves an actor and its critics together
        found = found[0]
    takes = "a .zip of Stable-Baselines3, a .cleanrl_model, or named tensors in a .safetensors or .pt file"
    good = isinstance(found, Mapping) and found and all(isinstance(value, Tensor) for value in found.values())
    require(bool(good), "initial_weights", str(path), takes)
    return dict(found)


def _activation(described: Mapping[str, object]) -> str | None:
    """The activation that a file of Stable-Baselines3 names, or else the default of its policy."""
    given = re.search(r"activation\.(\w+)", str(described.get("policy_kwargs")))
    if given:
        return given[1].lower()
    policy = str(described.get("policy_class"))
    if re.search(r"ActorCritic\w*Policy", policy):
        return "tanh"
    return "relu" if re.search(r"(SAC|TD3|DQN|QNet\w*)Policy", policy) else None
