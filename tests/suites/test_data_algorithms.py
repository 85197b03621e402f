"""What every algorithm that learns from data passes: it goes on to the bit, and measuring it moves nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from finetuning.distillation import Distillation, DistillationConfig
from pretraining.autoencoder import Autoencoder, AutoencoderConfig, Autoencoding, AutoencodingConfig
from pretraining.contrastive import Contrastive, ContrastiveConfig, ContrastiveEncoder, ContrastiveEncoderConfig
from pretraining.deep_clustering import ClusteringEncoder, ClusteringEncoderConfig, DeepClustering, DeepClusteringConfig
from pretraining.masked import Masked, MaskedConfig, MaskedEncoder, MaskedEncoderConfig
from pretraining.model import model_of
from pretraining.predictor import Predictor, PredictorConfig
from pretraining.supervised import Supervised, SupervisedConfig
from pretraining.variational_autoencoder import (
    Variational,
    VariationalAutoencoder,
    VariationalAutoencoderConfig,
    VariationalConfig,
)
from training.core import Budget, Counters, Every
from training.data.augmentation import AugmentationConfig
from training.data.sources import of_arrays, sklearn_dataset
from training.data.streams import Shuffled
from training.networks import NetworkConfig
from training.networks.transformer import TransformerConfig
from training.optimizer import OptimizerConfig
from training.run.checkpoint import Checkpoint, read_state
from training.seeding import generator

_DIGITS = sklearn_dataset("digits").select(np.arange(50))
DIGITS = of_arrays(_DIGITS.array("input"), _DIGITS.array("target"), "digits", row=np.arange(50))
NETWORK = NetworkConfig(hidden=(8,), activation="relu", cnn="residual", channels=(2,))
CHANGES = AugmentationConfig(shift_pixels=1.0)
OPTIMIZER = OptimizerConfig("adamw", learning_rate=1e-2, ema_decay=0.9)
UNTIL = Budget(100, "updates")


def supervised(seed: int) -> Supervised:
    model = Predictor(DIGITS.inputs, DIGITS.target, PredictorConfig(NETWORK), generator(seed, "weights"))
    return Supervised(model, SupervisedConfig(0.1, CHANGES, OPTIMIZER), until=UNTIL, seed=seed)


def autoencoding(seed: int) -> Autoencoding:
    model = Autoencoder(DIGITS.inputs, None, AutoencoderConfig(NETWORK, code=2), generator(seed, "weights"))
    return Autoencoding(model, AutoencodingConfig(CHANGES, OPTIMIZER), until=UNTIL, seed=seed)


def variational(seed: int) -> Variational:
    shape = VariationalAutoencoderConfig(NETWORK, flat=False, code=2)
    model = VariationalAutoencoder(DIGITS.inputs, None, shape, generator(seed, "weights"))
    return Variational(model, VariationalConfig(optimizer=OPTIMIZER), until=UNTIL, seed=seed)


def deep_clustering(seed: int) -> DeepClustering:
    shape = ClusteringEncoderConfig(NETWORK, code=2, clusters=3)
    model = ClusteringEncoder(DIGITS.inputs, None, shape, generator(seed, "weights"))
    config = DeepClusteringConfig(target_every=3, augmentation=CHANGES, optimizer=OPTIMIZER)
    return DeepClustering(model, config, DIGITS, until=UNTIL, seed=seed)


def contrastive(seed: int) -> Contrastive:
    shape = ContrastiveEncoderConfig(NETWORK, projection=4)
    model = ContrastiveEncoder(DIGITS.inputs, None, shape, generator(seed, "weights"))
    return Contrastive(model, ContrastiveConfig(0.5, CHANGES, OPTIMIZER), until=UNTIL, seed=seed)


def masked(seed: int) -> Masked:
    shape = MaskedEncoderConfig(TransformerConfig(width=8, layers=1, heads=2, causal=False))
    model = MaskedEncoder(DIGITS.inputs, None, shape, generator(seed, "weights"))
    return Masked(model, MaskedConfig(0.5, CHANGES, OPTIMIZER), until=UNTIL, seed=seed)


def distillation(seed: int) -> Distillation:
    teacher, student = (
        Predictor(DIGITS.inputs, DIGITS.target, PredictorConfig(NETWORK), generator(drawn, "weights"))
        for drawn in (0, seed)
    )
    config = DistillationConfig(features=0.5, augmentation=CHANGES, optimizer=OPTIMIZER)
    return Distillation(student, teacher, config, until=UNTIL, seed=seed)


ALGORITHMS = [supervised, autoencoding, variational, deep_clustering, contrastive, masked, distillation]


def learn(algorithm: Any, stream: Shuffled, now: Counters, updates: int) -> Counters:
    for _ in range(updates):
        batch, now, _ = stream.next(now)
        algorithm.update(batch, now)
        now = now.advance(updates=1)
    return now


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)


@pytest.mark.parametrize("make", ALGORITHMS)
def test_it_goes_on_to_the_bit_from_a_checkpoint(make: Callable[[int], Any], tmp_path: Any) -> None:
    algorithm, stream = make(1), Shuffled(DIGITS, 16, seed=1)
    now = learn(algorithm, stream, Counters(), 5)  # in the middle of the second epoch
    saved = Checkpoint(tmp_path, {"algorithm": algorithm, "stream": stream}, every=Every(1)).save(now)
    learn(algorithm, stream, now, 4)
    again, other_stream = make(2), Shuffled(DIGITS, 16, seed=1)
    torch.rand(5)  # the global generator has no part in it
    again.load_state_dict(read_state(saved, "algorithm"))
    other_stream.load_state_dict(read_state(saved, "stream"))
    learn(again, other_stream, now, 4)
    assert equal(again.state_dict(), algorithm.state_dict())


@pytest.mark.parametrize("make", ALGORITHMS)
def test_measuring_moves_nothing_and_says_the_same_again(make: Callable[[int], Any]) -> None:
    algorithm = make(1)
    learn(algorithm, Shuffled(DIGITS, 16, seed=1), Counters(), 3)
    whole = algorithm.measure(DIGITS.batches(50), "test")
    before = {key: value.clone() for key, value in algorithm.model.state_dict().items()}
    drawn = algorithm._rng.get_state()
    assert algorithm.score in whole
    assert algorithm.measure(DIGITS.batches(50), "test") == whole
    assert equal(algorithm.model.state_dict(), before)
    assert torch.equal(algorithm._rng.get_state(), drawn)


@pytest.mark.parametrize("make", ALGORITHMS)
def test_the_model_is_built_again_with_averaged_weights(make: Callable[[int], Any]) -> None:
    algorithm = make(1)
    learn(algorithm, Shuffled(DIGITS, 16, seed=1), Counters(), 3)
    model, batch = model_of(algorithm.state_dict()), DIGITS.gather(torch.arange(8))
    with algorithm._optimizer.averaged():
        assert torch.equal(model.features(batch), algorithm.model.features(batch))
    assert not torch.equal(model.features(batch), algorithm.model.features(batch))
