"""Small policies with a memory, and the same once more by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from agents.policies.recurrent_actor_critic import RecurrentActorCritic, RecurrentActorCriticConfig
from envs.config import EnvConfig
from envs.single import make_env
from training.networks import NetworkConfig
from training.networks.transformer_memory import TransformerMemoryConfig
from training.seeding import generator

SHAPES: dict[str, dict[str, Any]] = {
    "lstm": {},
    "gru": {"cell": "gru"},
    "shared": {"shared_memory": True},
    "normalized": {"normalize_observation": True},
    "transformer": {"cell": "transformer", "memory_size": 8, "transformer": TransformerMemoryConfig(2, 2, context=3)},
}


def make_policy(env: EnvConfig, shape: str = "lstm", **changes: Any) -> RecurrentActorCritic:
    """Its biases are not zero and its actions far from uniform, so that everything matters."""
    config = RecurrentActorCriticConfig(network=NetworkConfig(hidden=(8,)), rescale_action=False, memory_size=5)
    made = make_env(env)
    policy = RecurrentActorCritic(
        made.observation_space, made.action_space, replace(config, **SHAPES[shape], **changes), generator(1, "weights")
    )
    rng = generator(5)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=rng))
    if shape == "normalized":
        policy.update_normalizers({"obs": torch.randn(50, *made.observation_space.shape, generator=rng)})  # type: ignore[misc]
    return policy


def attend(weights: dict[str, Tensor], obs: Tensor, state: Tensor, *, layers: int, heads: int) -> tuple[Tensor, Tensor]:
    """A step of a `TransformerMemory` in plain words: obs [F], state [context, 1 + layers * H] -> [H] and the state."""

    def layer(name: str, x: Tensor) -> Tensor:
        return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]

    def normed(name: str, x: Tensor) -> Tensor:
        centred = x - x.mean()
        return centred / (centred.square().mean() + 1e-5).sqrt() * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def gate(name: str, old: Tensor, new: Tensor) -> Tensor:
        by_new, by_old = layer(f"{name}.of_new", new).chunk(3), layer(f"{name}.of_old", old).chunk(2)
        reset, update = (by_new[0] + by_old[0]).sigmoid(), (by_new[1] + by_old[1]).sigmoid()
        return (1 - update) * old + update * (by_new[2] + layer(f"{name}.of_reset", reset * old)).tanh()

    def turned(vector: Tensor, steps: int) -> Tensor:
        """By `steps` times the angle of each pair."""
        half = len(vector) // 2
        angles = steps * 10_000.0 ** -(torch.arange(half) / half)
        one, other = vector[:half], vector[half:]
        return torch.cat([one * angles.cos() - other * angles.sin(), other * angles.cos() + one * angles.sin()])

    x, size = layer("embed", obs), weights["embed.bias"].shape[0]
    row = [torch.ones(1)]
    for index in range(layers):
        at = f"layers.{index}"
        row.append(x)
        slots = [slot for slot in state if slot[0] > 0]
        seen = [*(slot[1 + index * size : 1 + (index + 1) * size] for slot in slots), x]
        seen = [normed(f"{at}.norm_before_attention", one) for one in seen]
        found = []
        for head in range(heads):
            part = slice(head * size // heads, (head + 1) * size // heads)
            query = layer(f"{at}.query", seen[-1])[part]
            ages = range(len(seen) - 1, -1, -1)
            keys = [turned(layer(f"{at}.key", one)[part], -age) for one, age in zip(seen, ages, strict=True)]
            shares = torch.stack([query @ key for key in keys]).div((size // heads) ** 0.5).softmax(0)
            found.append(sum(share * layer(f"{at}.value", one)[part] for share, one in zip(shares, seen, strict=True)))
        x = gate(f"{at}.gate_of_attention", x, layer(f"{at}.attended", torch.cat(found)).relu())
        hidden = layer(f"{at}.widen", normed(f"{at}.norm_before_mlp", x)).relu()
        x = gate(f"{at}.gate_of_mlp", x, layer(f"{at}.narrow", hidden).relu())
    return x, torch.cat([state[1:], torch.cat(row)[None]])


class ByHand:
    """The policy once more: torch's cells or plain attention, one environment and one step at a time."""

    def __init__(self, policy: RecurrentActorCritic, *, trainable: bool = False) -> None:
        self.weights = {key: value.detach().clone() for key, value in policy.named_parameters()}
        if trainable:
            self.weights = {key: value.requires_grad_() for key, value in self.weights.items()}
        self.shared, self.normalizers = policy.config.shared_memory, policy.normalizers
        self.cell, self.state_shape = policy.config.cell, policy.actor_memory.state_shape
        self.names = ["actor"] if self.shared else ["actor", "critic"]

    def remember(self, name: str, obs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """obs [F] and the state before it -> what the memory puts out [H] and the state after it."""
        if self.normalizers:
            obs = self.normalizers["obs"](obs)
        if self.cell == "transformer":
            weights = {
                key.removeprefix(f"{name}_memory."): value
                for key, value in self.weights.items()
                if key.startswith(f"{name}_memory.")
            }
            return attend(weights, obs, state, layers=2, heads=2)
        key = f"{name}_memory.cell"
        cell = [self.weights[f"{key}.{kind}_l0"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        if self.cell == "lstm":
            state = torch.stack(torch.lstm_cell(obs[None], (state[:1], state[1:]), *cell))[:, 0]
        else:
            state = torch.gru_cell(obs[None], state, *cell)
        return state[0], state

    def step(self, obs: Tensor, is_first: Any, state: dict[str, Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Logits or means [A], the value [] and the next state."""
        if is_first:
            state = {name: torch.zeros_like(value) for name, value in state.items()}
        made = {name: self.remember(name, obs, state[name]) for name in self.names}
        outputs = self.tower("actor", made["actor"][0])
        value = self.tower("critic", made["actor" if self.shared else "critic"][0])[0]
        return outputs, value, {name: after for name, (_, after) in made.items()}

    def tower(self, name: str, x: Tensor) -> Tensor:
        x = (self.weights[f"{name}.0.weight"] @ x + self.weights[f"{name}.0.bias"]).tanh()
        return self.weights[f"{name}.2.weight"] @ x + self.weights[f"{name}.2.bias"]

    def empty(self) -> dict[str, Tensor]:
        return {name: torch.zeros(self.state_shape) for name in self.names}

    def distribution(self, outputs: Tensor) -> Any:
        if "heads.log_std.action" in self.weights:
            normal = torch.distributions.Normal(outputs, self.weights["heads.log_std.action"].exp())
            return torch.distributions.Independent(normal, 1)
        return torch.distributions.Categorical(logits=outputs)
