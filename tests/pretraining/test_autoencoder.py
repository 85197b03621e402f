"""The autoencoder: accumulation, what it reconstructs of a changed image, and what it takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pretraining.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    Autoencoding,
    AutoencodingConfig,
)
from tests.support.networks import Plain
from training.core import Budget, Counters
from training.data.augmentation import AugmentationConfig, augment_inputs
from training.data.sources import of_arrays, sklearn_dataset
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.seeding import generator

NETWORK = NetworkConfig(hidden=(16,), activation="relu", cnn="small")


SHAPE = AutoencoderConfig(network=NETWORK, code=3)


@pytest.mark.parametrize("as_image", [True, False])
def test_accumulated_micro_batches_are_the_big_batch(as_image: bool) -> None:
    digits = sklearn_dataset("digits")
    batch, found = digits.gather(torch.arange(30)), []
    for micro_batches in (1, 4):
        model = Autoencoder(digits.inputs, None, replace(SHAPE, flat=not as_image), generator(1, "weights"))
        config = AutoencodingConfig(optimizer=OptimizerConfig("sgd", learning_rate=0.01, micro_batches=micro_batches))
        algorithm = Autoencoding(model, config, until=Budget(10, "epochs"), seed=1)
        algorithm.update(batch, Counters())
        found.append(model.state_dict())
    for key, value in found[0].items():
        torch.testing.assert_close(found[1][key], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("restores", [True, False])
def test_a_changed_image_is_reconstructed_as_it_is_or_as_it_was(restores: bool) -> None:
    digits = sklearn_dataset("digits")
    batch, changes = digits.gather(torch.arange(30)), AugmentationConfig(shift_pixels=2.0)
    model = Autoencoder(digits.inputs, None, SHAPE, generator(1, "weights"))
    algorithm = Autoencoding(model, AutoencodingConfig(changes, restores=restores), until=Budget(10, "epochs"), seed=1)
    changed = augment_inputs(batch, model.inputs, changes, generator(1, "augmentation"))
    with torch.no_grad():
        errors = (model(changed) - model.original(batch if restores else changed)).square().sum(1)
    metrics, _ = algorithm.update(batch, Counters())
    assert metrics["optimizer/loss"].value == pytest.approx(float(errors.mean()), rel=1e-5)


def test_categories_are_no_numbers_to_project() -> None:
    data = of_arrays(np.array([0, 1, 2, 1]), None, "made up")
    with pytest.raises(UserError, match=r"input is Discrete\(3\): it takes numbers or images"):
        Autoencoder(data.inputs, None, SHAPE, generator(1, "weights"))


def test_a_network_of_ones_own_is_refused_where_it_would_not_be_used() -> None:
    network = NetworkConfig(module=Plain)  # type: ignore[arg-type]
    assert not AutoencoderConfig(network=network, flat=False).flat
    with pytest.raises(UserError, match=r"network\.module = 'tests.*:Plain': it takes None with flat = True"):
        AutoencoderConfig(network=network)
