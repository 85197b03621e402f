"""The policy of the value-based algorithms: it takes the action of the highest value, or now and then a random one."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import Space, spaces
from numpy.typing import NDArray
from torch import Tensor

from agents.policies.heads import Categorical
from agents.policies.policy import Acting, Mode, NetworkPolicy
from envs.vectors.vector import Arrays
from training.core import Batch
from training.errors import UserError, require
from training.networks import MLP, Dueling, Encoder, NetworkConfig, NoisyLinear


@dataclass(frozen=True)
class QNetworkConfig:
    """The shape of a network of action values."""

    network: NetworkConfig = NetworkConfig(hidden=(256, 256), activation="relu")
    dueling: bool = False
    """A value and advantages, each from layers of its own, instead of action values (Wang et al. 2016)."""
    noisy_std: float | None = None
    """Explore by learned noise on the weights of this initial size, 0.5 in Fortunato et al. 2018; None: none."""
    normalize_observation: bool = False
    distribution: Literal["mean", "categorical", "quantile"] = "mean"
    """What is learned of the return of an action: its mean, the probability of each atom, or quantiles."""
    atoms: int = 1
    """Numbers for each action."""
    value_range: tuple[float, float] = (0.0, 0.0)
    """The first and the last atom of categorical distributions."""

    def __post_init__(self) -> None:
        takes = "1 for the mean, otherwise at least 2"
        require((self.atoms == 1) == (self.distribution == "mean") and self.atoms >= 1, "atoms", self.atoms, takes)
        rises = self.distribution != "categorical" or self.value_range[0] < self.value_range[1]
        require(rises, "value_range", self.value_range, "the least and the largest return, in this order")
        std = self.noisy_std
        require(std is None or std > 0, "noisy_std", std, "a number above 0, or None")


class QNetwork(NetworkPolicy):
    """Action values of every action, as distributions of `atoms` numbers where the config says so."""

    epsilon: Tensor
    support: Tensor

    def __init__(
        self, observation_space: Space[Any], action_space: Space[Any], config: QNetworkConfig, rng: torch.Generator
    ) -> None:
        if not isinstance(action_space, spaces.Discrete):
            raise UserError(f"action space {action_space}: value-based algorithms take a Discrete one")
        super().__init__(observation_space, action_space, config, normalize_observation=config.normalize_observation)
        self.actions = int(action_space.n)
        self.encoder = Encoder(self.obs_spaces, config.network, rng)
        features, std = self.encoder.out_features, config.noisy_std
        self.q: MLP | Dueling
        if config.dueling:
            self.q = Dueling(features, config.network, rng, actions=self.actions, atoms=config.atoms, noisy_std=std)
        else:
            self.q = MLP(features, config.network, rng, outputs=self.actions * config.atoms, noisy_std=std)
        self._random = Categorical(self.actions)
        self._noisy = _noisy_layers(self.q)
        # Buffers, so that they are saved and published with the weights.
        self.register_buffer("epsilon", torch.ones(()))
        self.register_buffer("support", torch.linspace(*config.value_range, config.atoms), persistent=False)

    def forward(self, batch: Batch, prefix: str = "") -> Tensor:
        """What the network says of every action, [B, actions, atoms], on `obs` or, with a prefix, on `next_obs`."""
        obs = self.seen(batch, prefix)
        outputs: Tensor = self.q(self.encoder(obs)).float().unflatten(-1, (self.actions, self.config.atoms))
        return outputs

    def values(self, outputs: Tensor) -> Tensor:
        """The mean returns [..., actions] of what `forward` gives."""
        if self.config.distribution == "categorical":
            return (outputs.softmax(-1) * self.support).sum(-1)
        return outputs.mean(-1)

    def value(self, batch: Batch) -> Tensor:
        """What the best action is worth among those allowed, [...]."""
        values = self.values(self(batch))
        if "action_mask" in batch:
            values = values.masked_fill(~batch["action_mask"], -torch.inf)
        return values.amax(-1)

    def acting(self, mode: Mode, rows: int) -> Acting:
        network = self.q
        if mode == "greedy" and self.config.noisy_std is not None:
            network = copy.deepcopy(network)
            for layer in _noisy_layers(network):
                layer.noise_in.zero_()
                layer.noise_out.zero_()
        outputs_of = self.outputs_of(rows, self.encoder, network)
        epsilon = {"explore": float(self.epsilon), "greedy": 0.0, "random": 1.0}[mode]

        def act(step: Arrays, state: Arrays, noise: Arrays) -> tuple[Arrays, Arrays]:
            values = self._values_in_numpy(outputs_of(step))
            allowed = step.get("action_mask")
            if allowed is not None:
                values = np.where(allowed, values, -np.inf)
            action = values.argmax(-1)
            if epsilon > 0.0 and (noise["chance"] < epsilon).any():
                logits = np.zeros_like(values) if allowed is None else np.where(allowed, np.float32(0), -np.inf)
                anything = self._random.sample(logits, noise["choice"])
                action = np.where(noise["chance"] < epsilon, anything, action)
            return {"action": action}, state

        return act

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays:
        chance = torch.rand(*leading, generator=rng).numpy()
        return {"chance": chance, "choice": self._random.noise(leading, rng)}

    def draw_noise(self, rng: torch.Generator) -> None:
        """New noise on the weights, where they have any."""
        for layer in self._noisy:
            layer.draw_noise(rng)

    def _values_in_numpy(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """`values` of [N, actions * atoms]."""
        if self.config.distribution == "mean":
            return outputs  # of one atom, over which a mean takes longer than a layer
        outputs = outputs.reshape(len(outputs), self.actions, -1)
        if self.config.distribution == "categorical":
            weights = np.exp(outputs - outputs.max(-1, keepdims=True))
            means: NDArray[Any] = weights @ self.support.cpu().numpy() / weights.sum(-1)
            return means
        return np.asarray(outputs.mean(-1))


def _noisy_layers(network: MLP | Dueling) -> list[NoisyLinear]:
    return [layer for layer in network.modules() if isinstance(layer, NoisyLinear)]
