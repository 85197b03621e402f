"""Policies of every kind that can be exported, with weights that choose differently, and runs that hold them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from agents.policies.actor import Actor, ActorConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.policy import NetworkPolicy
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.policies.recurrent_actor_critic import RecurrentActorCritic, RecurrentActorCriticConfig
from tests.support.runs import create
from training.core import Budget, Counters, Every
from training.networks import NetworkConfig
from training.run.checkpoint import CheckpointConfig
from training.seeding import generator
from training.state import State

VECTOR = spaces.Box(-np.inf, np.inf, (5,), np.float32)
IMAGE = spaces.Box(0, 255, (3, 16, 16), np.uint8)
BOUNDED = spaces.Box(-2.0, 3.0, (2,), np.float32)
MIXED = spaces.Dict(
    {
        "choice": spaces.Discrete(4, start=2),
        "choices": spaces.MultiDiscrete([2, 3]),
        "numbers": spaces.Box(-1.0, 1.0, (2, 2), np.float64),
        "yes": spaces.MultiBinary(3),
    }
)
MIXED_ACTIONS = spaces.Dict(
    {
        "choice": spaces.Discrete(3, start=1),
        "choices": spaces.MultiDiscrete([2, 3]),
        "numbers": spaces.Box(np.array([-2.0, -np.inf]), np.array([1.0, np.inf]), dtype=np.float64),
        "yes": spaces.MultiBinary(2),
    }
)
SMALL = NetworkConfig(hidden=(16,), cnn="small")


def policy(kind: Any, observation_space: Any, action_space: Any, config: Any) -> NetworkPolicy:
    """With random weights, large enough to choose differently, and statistics of what it has seen."""
    made: NetworkPolicy = kind(observation_space, action_space, config, generator(0, "weights"))
    rng = generator(1, "more")
    with torch.no_grad():
        for weights in made.parameters():
            weights.add_(0.2 * torch.randn(weights.shape, generator=rng))
    for key in made.normalizers:
        made.update_normalizers({key: 3 * torch.randn(100, *made.obs_spaces[key].shape, generator=rng) + 1})  # type: ignore[misc]
    return made


C51 = QNetworkConfig(
    network=SMALL, dueling=True, noisy_std=0.5, distribution="categorical", atoms=7, value_range=(-1, 1)
)
POLICIES: dict[str, Callable[[], NetworkPolicy]] = {
    "ppo": lambda: policy(
        ActorCritic, VECTOR, spaces.Discrete(4), ActorCriticConfig(SMALL, normalize_observation=True)
    ),
    "gaussian": lambda: policy(ActorCritic, VECTOR, BOUNDED, ActorCriticConfig(SMALL)),
    "mixed": lambda: policy(ActorCritic, MIXED, MIXED_ACTIONS, ActorCriticConfig(SMALL, squash=True)),
    "images": lambda: policy(ActorCritic, IMAGE, spaces.Discrete(3), ActorCriticConfig(SMALL)),
    "sac": lambda: policy(Actor, VECTOR, BOUNDED, ActorConfig(SMALL, normalize_observation=True)),
    "sac_discrete": lambda: policy(Actor, VECTOR, spaces.Discrete(3), ActorConfig(SMALL)),
    "gsde": lambda: policy(Actor, VECTOR, BOUNDED, ActorConfig(SMALL, distribution="state_dependent")),
    "crossq": lambda: policy(Actor, VECTOR, BOUNDED, ActorConfig(SMALL, renormalized=True)),
    "td3": lambda: policy(Actor, VECTOR, BOUNDED, ActorConfig(SMALL, distribution="deterministic")),
    "dqn": lambda: policy(QNetwork, VECTOR, spaces.Discrete(3, start=5), QNetworkConfig(SMALL)),
    "rainbow": lambda: policy(QNetwork, VECTOR, spaces.Discrete(3), C51),
    "lstm": lambda: policy(RecurrentActorCritic, VECTOR, BOUNDED, RecurrentActorCriticConfig(SMALL, memory_size=16)),
    "gru": lambda: policy(
        RecurrentActorCritic,
        VECTOR,
        spaces.Discrete(3),
        RecurrentActorCriticConfig(SMALL, cell="gru", memory_size=16, shared_memory=True),
    ),
    "transformer": lambda: policy(
        RecurrentActorCritic,
        VECTOR,
        spaces.Discrete(3),
        RecurrentActorCriticConfig(SMALL, cell="transformer", memory_size=16),
    ),
}


@dataclass
class Saved:
    """An algorithm's part of a checkpoint that holds a network."""

    name: str
    network: Any

    def state_dict(self) -> State:
        return {self.name: self.network.save()}

    def load_state_dict(self, state: State) -> None: ...


def balancing() -> NetworkPolicy:
    """A policy that balances CartPole for 500 steps: it pushes to where the pole falls."""
    no_limits = np.array([np.inf] * 4, np.float32)
    made = ActorCritic(
        spaces.Box(-no_limits, no_limits), spaces.Discrete(2), ActorCriticConfig(NetworkConfig(())), generator(0, "w")
    )
    with torch.no_grad():
        (layer,) = made.actor
        layer.weight.copy_(torch.tensor([[0.0] * 4, [0.05, 0.2, 2.0, 0.6]]))  # type: ignore[operator, union-attr]
        layer.bias.zero_()  # type: ignore[operator, union-attr]
    return made


def write_policy_run(folder: Path, network: Any, *, part: str = "agent", name: str = "policy") -> Path:
    """The folder of a run whose newest checkpoint holds the network."""
    with create(folder) as run:
        run.open_log(Every(1, "updates"), Budget(1, "updates"))
        run.checkpoint({part: Saved(name, network)}, CheckpointConfig()).save(Counters(env_steps=1, updates=1))
    return folder
