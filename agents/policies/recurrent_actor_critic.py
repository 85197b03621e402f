"""A policy with a memory: an actor and a critic that act on what they have seen of the episode so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import Space
from numpy.typing import NDArray
from torch import Tensor

from agents.policies.actor_critic import ActorCriticConfig
from agents.policies.heads import Heads
from agents.policies.policy import Acting, Mode, NetworkPolicy
from envs.vectors.vector import Arrays
from training.core import Batch
from training.errors import require
from training.networks import MLP, Encoder
from training.networks.in_numpy import as_numpy, encoder_as_numpy, memory_as_numpy
from training.networks.recurrent import Memory
from training.networks.transformer_memory import TransformerMemory, TransformerMemoryConfig

Advance = Callable[[Arrays, Arrays], tuple[NDArray[Any], Arrays]]
"""A step [N, ...] and the state before it -> the actor's outputs [N, heads.size] and the state after it."""


@dataclass(frozen=True)
class RecurrentActorCriticConfig(ActorCriticConfig):
    """The shape of an actor-critic with a memory between its encoder and the perceptrons of `network`."""

    cell: Literal["lstm", "gru", "transformer"] = "lstm"
    """transformer: gated, GTrXL (Parisotto et al. 2020)."""
    memory_size: int = 128
    """Units of each memory; 128 are Huang et al.'s (2022, The 37 implementation details of PPO, LSTM details)."""
    transformer: TransformerMemoryConfig = TransformerMemoryConfig()
    """Of cell = 'transformer'."""
    shared_memory: bool = False
    """One memory for the actor and the critic, instead of one each."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.memory_size >= 1, "memory_size", self.memory_size, "at least 1 unit")
        heads = self.transformer.heads
        fits = self.cell != "transformer" or self.memory_size % (2 * heads) == 0
        takes = f"a multiple of {2 * heads}: transformer.heads = {heads} have even parts of it"
        require(fits, "memory_size", self.memory_size, takes)
        require(not self.critic_only, "critic_only", self.critic_only, "(): a policy with a memory has one view")
        takes = "False, or shared_encoder = True before it"
        require(self.shared_encoder or not self.shared_memory, "shared_memory", self.shared_memory, takes)


class RecurrentActorCritic(NetworkPolicy):
    """Encoder, memory and perceptron, for the actor and for the critic.

    The state that acting keeps is `actor` and, where the memories are separate, `critic`, each [N, ...] as `Memory` or
    `TransformerMemory` says; in batches they are `state/actor` and `state/critic`. Sequences are [T, N, ...].
    """

    has_memory: ClassVar[bool] = True

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        config: RecurrentActorCriticConfig,
        rng: torch.Generator,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            config,
            rescale_action=config.rescale_action,
            normalize_observation=config.normalize_observation,
        )
        self.heads = Heads(self.action_spaces, squash=config.squash, initial_log_std=config.initial_log_std)
        self.actor_encoder = Encoder(self.obs_spaces, config.network, rng)
        shared = config.shared_encoder
        self.critic_encoder = self.actor_encoder if shared else Encoder(self.obs_spaces, config.network, rng)
        features, size = self.actor_encoder.out_features, config.memory_size
        self.actor_memory = _memory(config, features, rng)
        self.critic_memory = self.actor_memory if config.shared_memory else _memory(config, features, rng)
        # A small last layer makes the first policy nearly uniform (Andrychowicz et al. 2021, section 3.2).
        self.actor = MLP(size, config.network, rng, outputs=self.heads.size, gain=0.01)
        self.critic = MLP(size, config.network, rng, outputs=1, gain=1.0)

    def acting(self, mode: Mode, rows: int) -> Acting:
        advance, heads = self._advance_in_numpy(rows) or self._advance_in_torch, self.heads
        log_std = {key: value.detach().cpu().numpy() for key, value in heads.log_std.items()}
        draw = heads.sample if mode == "explore" else heads.uniform
        empty = np.zeros((rows, *self.actor_memory.state_shape), np.float32)
        nothing_seen = {"actor": empty} if self.config.shared_memory else {"actor": empty, "critic": empty}

        def act(step: Arrays, state: Arrays, noise: Arrays) -> tuple[Arrays, Arrays]:
            outputs, state = advance(step, state or nothing_seen)
            params = heads.params(outputs, step.get("action_mask"), log_std)
            return heads.mode(params) if mode == "greedy" else draw(params, noise), state

        return act

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays:
        return self.heads.noise(leading, rng)

    def unroll(self, batch: Batch) -> tuple[Tensor, Tensor, Batch]:
        """What the actor and the critic remember at each step, both [T, N, memory_size], and the state after the last.

        `batch` holds observations and `is_first` [T, N, ...] and the state before the first step [N, ...].
        """
        obs, is_first = self.normalized(batch), batch["is_first"]
        features = self.actor_encoder(obs)
        actor, actor_state = self.actor_memory(features, is_first, batch["state/actor"])
        if self.config.shared_memory:
            return actor, actor, {"state/actor": actor_state}
        features = features if self.config.shared_encoder else self.critic_encoder(obs)
        critic, critic_state = self.critic_memory(features, is_first, batch["state/critic"])
        return actor, critic, {"state/actor": actor_state, "state/critic": critic_state}

    def evaluate(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Batch]:
        """Log-probability of `action`, entropy and value of each step [T, N], and the state after the last."""
        actor, critic, state = self.unroll(batch)
        params = self.heads.params(self.actor(actor), batch.get("action_mask"))
        log_prob, entropy = self.heads.evaluate(params, batch)
        return log_prob, entropy, self.critic(critic).squeeze(-1).float(), state

    def value(self, batch: Batch) -> Tensor:
        """The value of each observation [T, N]."""
        _, critic, _ = self.unroll(batch)
        value: Tensor = self.critic(critic).squeeze(-1).float()
        return value

    def _advance_in_numpy(self, rows: int) -> Advance | None:
        """With the present weights; None where torch's modules do it better, as in `outputs_of`."""
        parts = {"actor": (self.actor_encoder, self.actor_memory), "critic": (self.critic_encoder, self.critic_memory)}
        if self.config.shared_memory:
            del parts["critic"]
        encoders = {name: encoder_as_numpy(encoder, rows) for name, (encoder, _) in parts.items()}
        memories = {name: memory_as_numpy(memory, rows) for name, (_, memory) in parts.items()}
        compute, normalize = as_numpy(self.actor, rows), self.normalization_of_arrays()
        known = [
            (name, encode, remember)
            for name in parts
            if (encode := encoders[name]) is not None and (remember := memories[name]) is not None
        ]
        if compute is None or len(known) < len(parts):
            return None

        def advance(step: Arrays, state: Arrays) -> tuple[NDArray[Any], Arrays]:
            seen = normalize(step)
            state = {name: remember(encode(seen), step["is_first"], state[name]) for name, encode, remember in known}
            return compute(state["actor"][:, 0]), state

        return advance

    @torch.no_grad()
    def _advance_in_torch(self, step: Arrays, state: Arrays) -> tuple[NDArray[Any], Arrays]:
        batch = {key: torch.from_numpy(step[key]).to(self.device)[None] for key in (*self.obs_spaces, "is_first")}
        batch |= {f"state/{name}": torch.from_numpy(value).to(self.device) for name, value in state.items()}
        actor, _, after = self.unroll(batch)
        outputs: NDArray[Any] = self.actor(actor[0]).float().cpu().numpy()
        return outputs, {name: after[f"state/{name}"].cpu().numpy() for name in state}


def _memory(config: RecurrentActorCriticConfig, inputs: int, rng: torch.Generator) -> Memory | TransformerMemory:
    if config.cell == "transformer":
        return TransformerMemory(config.transformer, inputs, config.memory_size, rng)
    return Memory(config.cell, inputs, config.memory_size, rng)
