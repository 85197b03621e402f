"""Small actor-critics over every kind of action space."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from training.networks import NetworkConfig
from training.seeding import generator

SMALL = ActorCriticConfig(network=NetworkConfig(hidden=(8,), cnn="small"), initial_log_std=-0.5)

ACTION_SPACES: dict[str, gym.Space[Any]] = {
    "discrete": spaces.Discrete(3, start=-1),
    "multi_discrete": spaces.MultiDiscrete([2, 3]),
    "multi_discrete_2d": spaces.MultiDiscrete(np.array([[2, 3], [4, 2]])),
    "multi_binary": spaces.MultiBinary(3),
    "multi_binary_2d": spaces.MultiBinary([2, 3]),
    "box": spaces.Box(-0.1, 0.1, (2,), np.float64),
    "box_without_dimension": spaces.Box(-2.0, 3.0, ()),
    "box_2d": spaces.Box(-1, 1, (2, 2)),
    "unbounded": spaces.Box(-np.inf, np.inf, (2,)),
    "nested": spaces.Dict(
        {"a": spaces.Discrete(2), "/b": spaces.Box(0, 1, (1,)), "c": spaces.Tuple([spaces.MultiBinary(2)])}
    ),
}


def make_policy(action_space: gym.Space[Any], config: ActorCriticConfig = SMALL) -> ActorCritic:
    return ActorCritic(spaces.Box(-1, 1, (3,)), action_space, config, generator(1))
