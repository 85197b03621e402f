"""Models from what they save: with averaged weights, by the name of their class, and of no other class."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import pytest
import torch

from pretraining.model import Model, load_weights, model_of
from pretraining.predictor import Predictor, PredictorConfig
from pretraining.supervised import (
    Supervised,
    SupervisedConfig,
)
from tests.support import ROOT
from training.core import Budget, Counters
from training.data.sources import sklearn_dataset
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.saved_classes import find_class
from training.seeding import generator

SMALL = NetworkConfig(hidden=(8,), activation="relu", cnn="residual", channels=(4, 4))


def on_digits(config: SupervisedConfig, model: Predictor | None = None) -> Supervised:
    digits = sklearn_dataset("digits")
    shape = PredictorConfig(network=SMALL)
    model = model or Predictor(digits.inputs, digits.target, shape, generator(1, "weights"))
    return Supervised(model, config, until=Budget(10, "epochs"), seed=1)


def test_a_model_is_built_again_from_its_state_with_averaged_weights() -> None:
    algorithm = on_digits(SupervisedConfig(optimizer=OptimizerConfig(ema_decay=0.9)))
    batch = sklearn_dataset("digits").gather(torch.arange(32))
    for _ in range(3):
        algorithm.update(batch, Counters())
    model = model_of(algorithm.state_dict())
    with algorithm._optimizer.averaged():
        assert torch.equal(model(batch), algorithm.model(batch))
    assert not torch.equal(model(batch), algorithm.model(batch))


def test_weights_of_another_architecture_are_told_by_name() -> None:
    wide, deep = (on_digits(SupervisedConfig()).model, on_digits(SupervisedConfig()).model)
    digits = sklearn_dataset("digits")
    wide = Predictor(
        digits.inputs, digits.target, PredictorConfig(replace(SMALL, hidden=(9,))), generator(1, "weights")
    )
    with pytest.raises(
        UserError, match=r"that run is of another architecture: 'head.0.weight' is \[9, 256\] there, \[8"
    ):
        load_weights(deep, wide.state_dict(), source="that run")
    more = Predictor(
        digits.inputs, digits.target, PredictorConfig(replace(SMALL, hidden=(8, 8))), generator(1, "weights")
    )
    with pytest.raises(UserError, match=r"'head.4.weight': that network has it and this one not"):
        load_weights(
            deep, {**deep.state_dict(), "head.4.weight": more.state_dict()["head.4.weight"]}, source="that run"
        )


def test_every_model_is_found_by_the_name_of_its_class() -> None:
    for file in sorted((ROOT / "pretraining").rglob("*.py")):
        import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    kinds = [kind for kind in subclasses(Model) if not kind.__name__.startswith("_")]
    assert len(kinds) >= 9
    for kind in kinds:
        assert find_class(kind.__name__, "pretraining", Model, source="it")[0] is kind


def subclasses(base: type) -> list[type]:
    return [kind for child in base.__subclasses__() for kind in (child, *subclasses(child))]


@pytest.mark.parametrize("kind", ["LanguageModel", "Model", "_Whole", "DataRunConfig", "os.system", "", "Nothing"])
def test_no_other_class_is_built(kind: str) -> None:
    saved = on_digits(SupervisedConfig()).state_dict()
    with pytest.raises(UserError, match=f"the saved model is a '{kind}': it takes a class of pretraining/"):
        model_of({**saved, "model": {**saved["model"], "kind": kind}})
