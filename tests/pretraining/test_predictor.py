"""The predictor: what its head sees, and what it predicts in the target's own unit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from pretraining.predictor import Predictor, PredictorConfig, new_predictor
from tests.support.networks import Noisy
from training.data.sources import of_arrays
from training.errors import UserError
from training.networks import NetworkConfig
from training.networks.transformer import TransformerConfig
from training.seeding import generator

SMALL = NetworkConfig(hidden=(8,), activation="relu", cnn="residual", channels=(4, 4))


def test_a_shortcut_shows_the_head_what_the_transformer_reads() -> None:
    words = {"input": spaces.MultiDiscrete(np.full((4, 2), 9))}
    shape = PredictorConfig(SMALL, TransformerConfig(width=8, layers=1, heads=2, causal=False), shortcut=True)
    model = Predictor(words, spaces.Discrete(3), shape, generator(1, "weights"))
    batch = {"input": torch.randint(9, (5, 4, 2), generator=generator(1, "words"))}
    vectors = model.encoder.embed(batch["input"]).flatten(1, 2)  # two vectors a place
    features = model.features(batch)
    assert features.shape == (5, 24)
    torch.testing.assert_close(features[:, 8:], torch.cat([vectors.mean(1), vectors.amax(1)], 1))
    added = model.encoder.embed.weight[batch["input"]].sum(2) + model.encoder.position
    torch.testing.assert_close(model.encoder.embedded(batch["input"]), added)
    with pytest.raises(UserError, match="shortcut = True: it takes a transformer"):
        PredictorConfig(SMALL, shortcut=True)


def test_categories_and_numbers_make_one_input() -> None:
    data = of_arrays({"a": np.zeros((4, 2), np.float32), "b": np.array([0, 2, 1, 0])}, np.arange(4), "made up")
    model = Predictor(data.inputs, data.target, PredictorConfig(SMALL), generator(1, "weights"))
    assert model.encoder.out_features == 2 + 3
    assert model(data.gather(torch.arange(4))).shape == (4, 4)
    with pytest.raises(UserError, match="transformer: it takes one input, here there are input/a, input/b"):
        Predictor(data.inputs, data.target, PredictorConfig(SMALL, TransformerConfig()), generator(1, "weights"))
    with pytest.raises(UserError, match="a transformer takes images, sequences of tokens or of vectors"):
        Predictor(
            {"input": spaces.Discrete(3)}, data.target, PredictorConfig(SMALL, TransformerConfig()), generator(1, "w")
        )


def test_numbers_are_said_in_their_own_unit_and_classes_as_probabilities_at_the_temperature() -> None:
    inputs = np.arange(8, dtype=np.float32).reshape(4, 2)
    data = of_arrays(inputs, np.array([3.0, 5.0, 3.0, 5.0], np.float32), "made up")
    model = new_predictor(data, PredictorConfig(SMALL), seed=1)
    batch = data.gather(torch.arange(4))
    torch.testing.assert_close(model.standardized(batch["target"]), torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    torch.testing.assert_close(model.predict(batch), model(batch) + 4.0)  # of mean 4 and deviation 1
    classes = of_arrays(inputs, np.array([0, 1, 2, 1]), "made up")
    model = new_predictor(classes, PredictorConfig(SMALL), seed=1)
    model.temperature.fill_(2.0)
    torch.testing.assert_close(model.predict(batch), torch.softmax(model(batch) / 2, -1))


def test_a_network_of_ones_own_encodes_and_a_transformer_takes_its_place_or_not() -> None:
    inputs = np.arange(12, dtype=np.float32).reshape(6, 2)
    data = of_arrays(inputs, np.array([0, 1, 2, 1, 0, 2]), "made up")
    own = NetworkConfig(module=Noisy)  # type: ignore[arg-type]
    model = new_predictor(data, PredictorConfig(network=own), seed=1)
    batch = data.gather(torch.arange(6))
    assert torch.equal(model.predict(batch), model.predict(batch)), "measured without the noise of training"
    assert not torch.equal(model(batch), model(batch))
    with pytest.raises(UserError, match=r"network\.module = 'tests.*:Noisy': it takes None with a transformer"):
        PredictorConfig(network=own, transformer=TransformerConfig())
