"""The encoder of any observation space."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from tests.support.generators import seeded
from training.errors import UserError
from training.networks import Encoder, NetworkConfig

CONFIG = NetworkConfig()


@pytest.mark.parametrize(
    ("space", "value", "expected"),
    [
        (spaces.Box(-1, 1, (3,)), np.array([0.5, -1.0, 1.0], np.float32), [0.5, -1.0, 1.0]),
        (spaces.Box(-1, 1, (), np.float64), np.array(0.25), [0.25]),
        (spaces.Box(-9, 9, (2, 2), np.int32), np.array([[1, 2], [3, 4]]), [1, 2, 3, 4]),
        (spaces.Box(0, 255, (2,), np.uint8), np.array([0, 255], np.uint8), [0.0, 1.0]),
        (spaces.Discrete(3), np.array(2), [0, 0, 1]),
        (spaces.Discrete(3, start=-1), np.array(-1), [1, 0, 0]),
        (spaces.MultiDiscrete([2, 3]), np.array([1, 0]), [0, 1, 1, 0, 0]),
        (spaces.MultiDiscrete([2, 3], start=[5, 1]), np.array([5, 3]), [1, 0, 0, 0, 1]),
        (spaces.MultiDiscrete([[2, 2], [2, 3]]), np.array([[1, 0], [1, 2]]), [0, 1, 1, 0, 0, 1, 0, 0, 1]),
        (spaces.MultiBinary(3), np.array([1, 0, 1], np.int8), [1, 0, 1]),
        (spaces.MultiBinary([2, 2]), np.array([[1, 0], [0, 1]], np.int8), [1, 0, 0, 1]),
    ],
)
def test_each_space_is_encoded(space: spaces.Space[Any], value: np.ndarray, expected: list[float]) -> None:
    encoder = Encoder({"obs": space}, CONFIG, seeded())
    features = encoder({"obs": torch.as_tensor(value)})
    assert features.dtype == torch.float32
    assert encoder.out_features == len(expected)
    assert features.tolist() == expected
    many = encoder({"obs": torch.as_tensor(np.broadcast_to(value, (4, 2, *value.shape)).copy())})
    assert many.tolist() == [[expected] * 2] * 4


def test_a_dict_observation_becomes_one_vector_in_the_order_of_its_spaces() -> None:
    of = {
        "obs/camera": spaces.Box(0, 255, (10, 10, 3), np.uint8),
        "obs/arm_position": spaces.Box(-1, 1, (2,)),
        "obs/goal": spaces.Discrete(4),
    }
    encoder = Encoder(of, NetworkConfig(cnn="small"), seeded())
    observations = {key: torch.as_tensor(np.stack([space.sample() for _ in range(6)])) for key, space in of.items()}
    batch = {key: value.reshape(2, 3, *value.shape[1:]) for key, value in observations.items()}
    features = encoder({**batch, "reward": torch.zeros(2, 3)})
    assert features.shape == (2, 3, 128 + 2 + 4) == (2, 3, encoder.out_features)
    assert torch.equal(features[..., 128:130], batch["obs/arm_position"])
    features.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_an_unknown_space_names_its_key() -> None:
    with pytest.raises(UserError, match=r"observation 'obs/words': Text.* has no encoder"):
        Encoder({"obs/words": spaces.Text(5)}, CONFIG, seeded())
