"""Predictors as modules: raw samples in, probabilities or numbers out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from gymnasium import spaces

from pretraining.predictor import Predictor, PredictorConfig
from serving.comparison import compare, inputs_for
from serving.model_file import as_call, load_model, write_model
from serving.predicting_module import PredictingModule
from training.networks import NetworkConfig
from training.seeding import generator

IMAGE = spaces.Box(0, 255, (8, 8), np.uint8)
TABLE = spaces.Box(-np.inf, np.inf, (3,), np.float32)


def predictor(inputs: spaces.Space[object], target: spaces.Space[object]) -> Predictor:
    config = PredictorConfig(network=NetworkConfig(hidden=(8,), activation="relu", cnn="small"))
    model = Predictor({"input": inputs}, target, config, generator(0, "weights"))
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.3 * torch.randn(weights.shape, generator=generator(1, "more")))
        model.temperature.fill_(2.5)
    return model


def test_probabilities_have_the_temperature_in_them() -> None:
    model = predictor(IMAGE, spaces.Discrete(4))
    module = PredictingModule(model)
    inputs = inputs_for(module.signature, 20)
    (said,) = as_call(module)(inputs).values()
    with torch.no_grad():
        logits = model({"input": torch.from_numpy(inputs["input"])})
    assert torch.equal(torch.from_numpy(said), torch.softmax(logits / 2.5, -1))
    assert not torch.equal(torch.from_numpy(said), torch.softmax(logits, -1))


def test_numbers_are_in_the_unit_of_the_target_and_survive_the_file(tmp_path: Path) -> None:
    model = predictor(TABLE, spaces.Box(-np.inf, np.inf, (), np.float32))
    model.target_scale.update(torch.tensor([100.0, 300.0]))
    model.preprocessing.normalizers["input"].update(torch.randn(50, 3, generator=generator(2, "x")) * 5)  # type: ignore[operator]
    module = PredictingModule(model)
    assert as_call(module)(inputs_for(module.signature, 20))["numbers"].mean() > 50
    write_model(module, module.signature, inputs_for(module.signature, 4), tmp_path / "model.pt2")
    compared = compare(as_call(module), load_model(tmp_path / "model.pt2", module.signature), module.signature)
    assert compared.same, compared
