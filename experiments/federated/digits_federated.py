"""Twenty clients, each with few kinds of digits, train one network: two points below one that sees all of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Literal

import numpy as np

from pretraining import supervised
from pretraining.predictor import PredictorConfig
from pretraining.supervised import SupervisedConfig, SupervisedRunConfig
from regimes import federated
from regimes.federated import FederatedConfig, FederatedRunConfig
from regimes.partition import PartitionConfig, by_dirichlet
from training.claims import Claim
from training.core import Every
from training.data.dataset import Dataset
from training.data.preprocessing import PreprocessingConfig
from training.data.sources import of_arrays, sklearn_dataset
from training.data.splits import SplitConfig, split
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run

CLIENT = SupervisedConfig(optimizer=OptimizerConfig("sgd", learning_rate=0.1))


def _central() -> SupervisedRunConfig:
    """As many passes over the samples as 150 rounds of half the clients make, with an optimizer of its own."""
    return SupervisedRunConfig(
        epochs=150,
        minibatch_size=16,
        algorithm=SupervisedConfig(optimizer=OptimizerConfig("adam", learning_rate=1e-3)),
    )


@dataclass(frozen=True, kw_only=True)
class Config(FederatedRunConfig):
    """FedAdam; FedAvg and FedProx are the same with another server, and the clients alone have as many epochs."""

    split: SplitConfig = SplitConfig("stratified", validation=0.1, test=0.2)
    data: PartitionConfig = PartitionConfig(clients=20, concentration=0.1)
    threads: int | Literal["auto"] = 1
    model: PredictorConfig = PredictorConfig(
        NetworkConfig(hidden=(64, 64), activation="relu"), preprocessing=PreprocessingConfig(standardize=False)
    )
    algorithm: FederatedConfig = FederatedConfig(
        optimizer=OptimizerConfig("adam", learning_rate=1e-2, betas=(0.9, 0.99), eps=1e-3), client=CLIENT
    )
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(10, "updates"))
    average: FederatedConfig = FederatedConfig(client=CLIENT)
    proximal: FederatedConfig = FederatedConfig(client=CLIENT, anchor=0.1)
    central: SupervisedRunConfig = field(default_factory=_central)


# In percentage points of the test split.
RESPLIT = Config().split.test_per_train
CLAIMS = (
    Claim("below_central/adaptive_points", "<=", 2.0, seeds=10, resplit=RESPLIT),
    Claim("over_alone/best_points", ">=", 20.0, seeds=10, resplit=RESPLIT),
)


def pixels() -> Dataset:
    """The digits as 64 numbers from 0 to 1."""
    digits = sklearn_dataset("digits")
    rows = digits.array("input").reshape(len(digits), -1).astype(np.float32) / 240
    return of_arrays(rows, digits.array("target"), digits.source, labels=digits.labels)


def train(config: Config, run: Run) -> None:
    """Four stages: all digits in one place, FedAvg, FedProx, FedAdam; then each client alone."""
    splits = split(pixels(), config.split, seed=config.seed)
    clients = by_dirichlet(splits.train, config.data, seed=config.seed)
    central = run.stage("central")
    if not central.finished:
        own = replace(config.central, seed=config.seed, model=config.model, device=config.device)
        supervised.train(own, central, splits)
    found = {}
    for name, algorithm in (
        ("average", config.average), ("proximal", config.proximal), ("adaptive", config.algorithm),
    ):  # fmt: skip
        stage = run.stage(name)
        if not stage.finished:
            federated.train(replace(config, algorithm=algorithm), stage, splits, clients)
        found[name] = 100 * stage.result["metrics"]["test/accuracy"]
    alone = [100 * measured["accuracy"] for measured in federated.alone(config, splits, clients)]
    whole = 100 * central.result["metrics"]["test/accuracy"]
    below = {f"below_central/{name}_points": whole - accuracy for name, accuracy in found.items()}
    over = {
        "over_alone/best_points": found["adaptive"] - max(alone),
        "over_alone/mean_points": found["adaptive"] - fmean(alone),
    }
    run.finish_as(stage, below | over | {"central/accuracy_points": whole})
