"""One short run of rising learning rates finds a rate about as good as the best of a whole grid of runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pretraining import supervised
from pretraining.predictor import PredictorConfig
from pretraining.supervised import SupervisedConfig, SupervisedRunConfig
from reports.rate_curve import RateRangeOptions, read_curve, with_rate_range
from training.claims import Claim
from training.data.sources import sklearn_dataset
from training.data.splits import SplitConfig, split
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run

GRID = tuple(10.0 ** (-4 + half / 2) for half in range(8))
"""1e-4 to 0.3, in factors of about three."""
USUAL = GRID[2]
"""1e-3, with which everybody begins Adam."""


@dataclass(frozen=True, kw_only=True)
class Config(SupervisedRunConfig):
    """A perceptron on pixels, trained for two hundred updates by one cycle."""

    split: SplitConfig = SplitConfig("stratified", validation=0.3, test=0.2)
    epochs: int | None = None
    steps: int | None = 200
    minibatch_size: int = 128
    model: PredictorConfig = PredictorConfig(network=NetworkConfig(hidden=(64,), activation="relu", cnn="small"))
    algorithm: SupervisedConfig = SupervisedConfig(
        optimizer=OptimizerConfig("adam", learning_rate=1e-3, schedule=Schedule("one_cycle", warmup=0.3))
    )


# In nats of each validation image: next to the best rate of the grid, whose top is flat, and above Adam's usual rate.
RESPLIT = Config().split.test_per_train
CLAIMS = (
    Claim("comparison/log_likelihood_over_best", ">=", 0.0, margin=-0.1, seeds=10, resplit=RESPLIT),
    Claim("comparison/log_likelihood_over_usual", ">=", 0.0, seeds=10, resplit=RESPLIT),
)


def train(config: Config, run: Run) -> None:
    """A stage for the range test, and one for each rate of the grid."""
    splits = split(sklearn_dataset("digits"), config.split, seed=config.seed)
    tested = run.stage("range")
    if not tested.finished:
        supervised.train(with_rate_range(config, RateRangeOptions(1e-5, 1.0, 200)), tested, splits)
    suggested = read_curve(tested.folder).suggested
    found: dict[float, float] = {}
    for rate in (*GRID, suggested):
        stage = run.stage("suggested" if rate == suggested else f"rate-{rate:.2g}")
        if not stage.finished:
            optimizer = replace(config.algorithm.optimizer, learning_rate=rate)
            own = replace(config, algorithm=replace(config.algorithm, optimizer=optimizer))
            supervised.train(own, stage, splits)
        found[rate] = stage.result["metrics"]["validation/log_likelihood_uncalibrated"]
    best = max(GRID, key=found.__getitem__)
    compared = {
        "comparison/suggested_rate": suggested,
        "comparison/best_rate": best,
        "comparison/rate_factor": math.exp(abs(math.log(suggested / best))),
        "comparison/log_likelihood_over_best": found[suggested] - found[best],
        "comparison/log_likelihood_over_usual": found[suggested] - found[USUAL],
    }
    run.finish_as(stage, compared)
