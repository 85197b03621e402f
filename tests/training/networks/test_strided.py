"""The small convolutional network: its sizes, pictures that do not depend on each other, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from training.errors import UserError
from training.networks import Encoder, NetworkConfig
from training.seeding import generator

PATH = "training.networks.strided:StridedCNN"


def encoder(shape: tuple[int, ...], **how: object) -> Encoder:
    config = NetworkConfig(hidden=(), module=PATH, module_kwargs=how)
    return Encoder({"input": spaces.Box(0, 255, shape, np.uint8)}, config, generator(1, "weights"))


@pytest.mark.parametrize(("shape", "size"), [((28, 28), 16 * 4), ((15, 15, 3), 16), ((3, 16, 17), 16 * 2)])
def test_each_convolution_halves_the_picture(shape: tuple[int, ...], size: int) -> None:
    made = encoder(shape, channels=[8, 8, 8, 16])
    assert made.out_features == size
    picture = torch.randint(0, 255, (5, *shape), generator=generator(1), dtype=torch.uint8)
    assert made({"input": picture}).shape == (5, size)


def test_the_features_of_a_picture_do_not_depend_on_the_others() -> None:
    made = encoder((28, 28), channels=[8, 8])
    pictures = torch.randint(0, 255, (6, 28, 28), generator=generator(1), dtype=torch.uint8)
    alone = torch.cat([made({"input": pictures[i : i + 1]}) for i in range(6)])
    torch.testing.assert_close(made({"input": pictures}), alone)


def test_what_it_cannot_take_is_one_line() -> None:
    with pytest.raises(UserError, match=r"channels = 6: it takes a multiple of groups = 4"):
        encoder((28, 28), channels=[6])
    two = {"input/a": spaces.Box(0, 255, (8, 8), np.uint8), "input/b": spaces.Box(0, 255, (8, 8), np.uint8)}
    with pytest.raises(UserError, match="takes one image"):
        Encoder(two, NetworkConfig(hidden=(), module=PATH), generator(1))
