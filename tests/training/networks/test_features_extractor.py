"""What a features extractor gets, against Stable-Baselines3's own preprocessing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.torch_layers import CombinedExtractor, NatureCNN

from tests.support.generators import seeded
from training.networks import Encoder, NetworkConfig
from training.networks.features_extractor import extractor_input, extractor_space

CHANNELS_LAST = spaces.Box(0, 255, (40, 36, 3), np.uint8)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-1, 1, (3,)),
        spaces.Box(0, 255, (3, 36, 40), np.uint8),
        spaces.Box(0, 255, (4,), np.uint8),
        spaces.Discrete(4),
        spaces.MultiDiscrete([2, 3]),
        spaces.MultiBinary(3),
    ],
)
def test_observations_are_prepared_as_there(space: spaces.Space[Any]) -> None:
    space.seed(1)
    values = torch.from_numpy(np.stack([np.asarray(space.sample()) for _ in range(5)]))
    ours, theirs = extractor_input({"obs": values}, {"obs": space}), preprocess_obs(values, space)
    assert isinstance(ours, torch.Tensor)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert extractor_space({"obs": space}) == space


def test_images_get_their_channels_first_and_parts_their_own_names() -> None:
    of = {"obs/camera": CHANNELS_LAST, "obs/arm": spaces.Box(-1, 1, (2,))}
    space = extractor_space(of)
    assert isinstance(space, spaces.Dict)
    assert space["camera"] == spaces.Box(0, 255, (3, 40, 36), np.uint8)
    image = torch.arange(2 * 40 * 36 * 3).reshape(2, 40, 36, 3).to(torch.uint8)
    given = extractor_input({"obs/camera": image, "obs/arm": torch.ones(2, 2)}, of)
    assert isinstance(given, dict)
    assert set(given) == set(space.spaces)
    torch.testing.assert_close(given["camera"][1, 2], image[1, :, :, 2] / 255)


def test_extractors_of_the_library_are_taken_as_they_are() -> None:
    config = NetworkConfig(module=NatureCNN, module_kwargs={"features_dim": 16})  # type: ignore[arg-type]
    encoder = Encoder({"obs": CHANNELS_LAST}, config, seeded())
    assert encoder.out_features == 16
    assert encoder({"obs": torch.zeros(2, 3, 40, 36, 3, dtype=torch.uint8)}).shape == (2, 3, 16)
    of = {"obs/camera": CHANNELS_LAST, "obs/arm": spaces.Box(-1, 1, (2,)), "obs/goal": spaces.Discrete(4)}
    combined = Encoder(of, NetworkConfig(module=CombinedExtractor), seeded())  # type: ignore[arg-type]
    assert combined.out_features == 256 + 2 + 4
