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
from training.seeding import generator

SHAPES: dict[str, dict[str, Any]] = {
    "lstm": {},
    "gru": {"cell": "gru"},
    "shared": {"shared_memory": True},
    "normalized": {"normalize_observation": True},
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


class ByHand:
    """The policy once more: torch's cells, one environment and one step at a time."""

    def __init__(self, policy: RecurrentActorCritic, *, trainable: bool = False) -> None:
        self.weights = {key: value.detach().clone() for key, value in policy.named_parameters()}
        if trainable:
            self.weights = {key: value.requires_grad_() for key, value in self.weights.items()}
        self.shared, self.normalizers = policy.config.shared_memory, policy.normalizers
        self.lstm = policy.config.cell == "lstm"
        self.names = ["actor"] if self.shared else ["actor", "critic"]

    def remember(self, name: str, obs: Tensor, state: Tensor) -> Tensor:
        """obs [F], state [P, H] -> [P, H]."""
        if self.normalizers:
            obs = self.normalizers["obs"](obs)
        key = f"{name}_memory.cell"
        weights = [self.weights[f"{key}.{kind}_l0"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        if self.lstm:
            return torch.stack(torch.lstm_cell(obs[None], (state[:1], state[1:]), *weights))[:, 0]
        return torch.gru_cell(obs[None], state, *weights)

    def step(self, obs: Tensor, is_first: Any, state: dict[str, Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Logits or means [A], the value [] and the next state."""
        if is_first:
            state = {name: torch.zeros_like(value) for name, value in state.items()}
        state = {name: self.remember(name, obs, state[name]) for name in self.names}
        outputs = self.tower("actor", state["actor"][0])
        return outputs, self.tower("critic", state["actor" if self.shared else "critic"][0])[0], state

    def tower(self, name: str, x: Tensor) -> Tensor:
        x = (self.weights[f"{name}.0.weight"] @ x + self.weights[f"{name}.0.bias"]).tanh()
        return self.weights[f"{name}.2.weight"] @ x + self.weights[f"{name}.2.bias"]

    def empty(self) -> dict[str, Tensor]:
        return {name: torch.zeros(2 if self.lstm else 1, 5) for name in self.names}

    def distribution(self, outputs: Tensor) -> Any:
        if "heads.log_std.action" in self.weights:
            normal = torch.distributions.Normal(outputs, self.weights["heads.log_std.action"].exp())
            return torch.distributions.Independent(normal, 1)
        return torch.distributions.Categorical(logits=outputs)
