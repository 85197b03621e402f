"""Fine-tuning of predictors: it begins with the encoder of another, and an anchor holds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetuning import predictor
from finetuning.predictor import FineTuneConfig
from pretraining.model import load_model
from pretraining.supervised import SupervisedConfig
from tests.support.pictures import pictures, small_predictor
from training.data.dataset import Dataset
from training.data.splits import SplitConfig, Splits, split
from training.errors import UserError
from training.optimizer import OptimizerConfig
from training.run.run import Run

RESUMED = {  # three stages, the last of which begins with the first one's encoder and is held by an anchor
    "digits_full_fine_tune": [
        *("--epochs", "2", "--minibatch-size", "200", "--few.steps", "30", "--few.threads", "1"),
        *("--model.network.channels", "2", "2", "--few.model.network.channels", "2", "2", "--few.anchor", "0.1"),
    ],
}


def parts(data: Dataset) -> Splits:
    return split(data, SplitConfig("stratified", validation=0.2, test=0.2), seed=1)


@pytest.mark.parametrize("anchor", [0.0, 1000.0])
def test_fine_tuning_begins_with_the_encoder_and_an_anchor_holds_it(anchor: float, tmp_path: Path) -> None:
    data = pictures()
    pretrained = small_predictor(data, 7)
    begin = {key: value.clone() for key, value in pretrained.encoder.state_dict().items()}
    config = FineTuneConfig(
        epochs=10,
        minibatch_size=16,
        threads=1,
        model=pretrained.config,
        anchor=anchor,
        algorithm=SupervisedConfig(optimizer=OptimizerConfig("sgd", learning_rate=1e-3)),
    )
    with Run.create("digits_full_fine_tune", config, folder=tmp_path / "run", tracker="none") as run:
        predictor.train(config, run, parts(data), pretrained)
    tuned = load_model(tmp_path / "run", "last").encoder.state_dict()
    distance = sum(float((value - begin[key]).square().sum()) for key, value in tuned.items())
    assert 0 < distance < (1e-4 if anchor else 1.0)


def test_an_encoder_of_another_architecture_is_told(tmp_path: Path) -> None:
    data = pictures()
    config = FineTuneConfig(epochs=1, threads=1, model=small_predictor(data, 1).config)
    told = "the pretrained model is of another architecture"
    with (
        pytest.raises(UserError, match=told),
        Run.create("digits_full_fine_tune", config, folder=tmp_path / "run", tracker="none") as run,
    ):
        predictor.train(config, run, parts(data), small_predictor(data, 1, cnn="residual"))
