"""Convolutions over images of every layout."""

from __future__ import annotations

import pytest
import torch

from tests.support.generators import seeded
from training.errors import UserError
from training.networks import NetworkConfig
from training.networks.convolutions import CNN

CONFIG = NetworkConfig()


@pytest.mark.parametrize("shape", [(84, 84), (84, 84, 3), (3, 84, 84), (4, 84, 84), (4, 84, 84, 3), (4, 3, 84, 84)])
def test_image_layouts_give_features_for_any_leading_shape(shape: tuple[int, ...]) -> None:
    cnn = CNN(shape, CONFIG, seeded())
    image = torch.randint(0, 256, (3, 2, *shape), dtype=torch.uint8)
    features = cnn(image)
    assert features.shape == (3, 2, cnn.out_features) == (3, 2, 512)
    torch.testing.assert_close(features[2, 1], cnn(image[2, 1]))


def test_channels_last_and_first_are_the_same_image() -> None:
    image = torch.randint(0, 256, (2, 10, 12, 3), dtype=torch.uint8)
    config = NetworkConfig(cnn="small")
    last, first = CNN((10, 12, 3), config, seeded()), CNN((3, 10, 12), config, seeded())
    torch.testing.assert_close(last(image), first(image.permute(0, 3, 1, 2)))
    stacked = CNN((2, 10, 12, 3), config, seeded())
    frames = image.reshape(1, 2, 10, 12, 3)
    as_channels = CNN((6, 10, 12), config, seeded())(frames.permute(0, 1, 4, 2, 3).reshape(1, 6, 10, 12))
    torch.testing.assert_close(stacked(frames), as_channels)


def test_uint8_images_are_scaled() -> None:
    cnn = CNN((5, 5), NetworkConfig(cnn="small"), seeded())
    image = torch.randint(0, 256, (2, 5, 5), dtype=torch.uint8)
    torch.testing.assert_close(cnn(image), cnn(image.float() / 255.0))


def test_a_small_image_names_the_network_that_takes_it() -> None:
    with pytest.raises(UserError, match=r"cnn = 'nature': an image of shape \[10, 10, 4\] is too small; cnn = 'small'"):
        CNN((10, 10, 4), CONFIG, seeded())
    assert CNN((10, 10, 4), NetworkConfig(cnn="small"), seeded()).out_features == 128
