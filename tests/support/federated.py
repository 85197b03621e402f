"""Small clients whose answers are known, for the tests of federated learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pretraining.predictor import Predictor, PredictorConfig
from pretraining.supervised import SupervisedConfig
from regimes.clients import Client, LocalTraining
from regimes.federated import FederatedConfig, FederatedRunConfig
from tests.support.data import clouds
from training.core import Every
from training.data.splits import Splits
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.checkpoint import CheckpointConfig
from training.seeding import generator

SHAPE = PredictorConfig(network=NetworkConfig(hidden=(8,), activation="tanh"))
SGD = SupervisedConfig(optimizer=OptimizerConfig("sgd", learning_rate=0.5))
SPLITS: Splits = clouds()


def clients_of(sizes: Sequence[int] = (60, 30, 20)) -> list[Client]:
    """The training samples of three clouds, the first ones to the first client."""
    cuts = np.cumsum([0, *sizes])
    rows = [np.arange(cuts[i], cuts[i + 1]) for i in range(len(sizes))]
    return [Client(f"party {number}", SPLITS.train.select(own)) for number, own in enumerate(rows)]


def a_model(seed: int = 1) -> Predictor:
    model = Predictor(SPLITS.train.inputs, SPLITS.train.target, SHAPE, generator(seed, "weights"))
    model.fit_preprocessing(SPLITS.train)
    return model


def a_training(model: Predictor | None = None, **changes: Any) -> LocalTraining:
    """One epoch on all samples at once, unless it is said otherwise."""
    given = {"epochs": 1, "minibatch_size": 1_000, "seed": 1} | changes
    return LocalTraining(model or a_model(), given.pop("config", SGD), **given)


def a_config(steps: int = 6, **algorithm: Any) -> FederatedRunConfig:
    return FederatedRunConfig(
        steps=steps,
        threads=1,
        minibatch_size=16,
        model=SHAPE,
        algorithm=FederatedConfig(client=SGD, **algorithm),
        log_every=Every(1, "updates"),
        checkpoint=CheckpointConfig(every=Every(2, "updates")),
    )
