"""Tomorrow's volatility of the S&P 500: a network beats GARCH and HAR, and no regression that sees as much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretraining import volatility
from pretraining.baselines.variances import gjr_garch, log_linear, log_linear_fit, moving_average
from pretraining.model import load_model
from pretraining.predictor import Predictor, PredictorConfig
from pretraining.recipe import HeldOutConfig
from pretraining.volatility import (
    VarianceConfig,
    VarianceRunConfig,
    qlike,
    range_variance,
    trailing_mean,
)
from training.claims import Claim
from training.core import Every
from training.data.dataset import Dataset
from training.data.sources import of_arrays
from training.data.splits import SplitConfig, Splits, split
from training.errors import require
from training.extras import extra
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.pictures import Line, Panel, write_pictures
from training.run.run import Run

Floats = NDArray[np.float64]
WINDOWS = (1, 5, 22, 66)
"""A day, a week, a month and a quarter of trading."""
HAR = np.array([0, 1, 2])
"""The columns that HAR reads."""
BLOCK_DAYS, DRAWS = 22, 500
"""Of the bootstrap over days, which keeps a month together."""
SHOWN_DAYS = 250
INTERVAL_DAYS = 1_000
"""Before each training: by how far forecasts were off in them the interval is as wide as it is."""


class Market(NamedTuple):
    """Every day that has a past long enough, as far as it is known the evening before, and its variance."""

    inputs: Floats
    columns: tuple[str, ...]
    variance: Floats
    """By the day's range [S]."""
    returns: Floats
    """From close to close [S]."""


@dataclass(frozen=True, kw_only=True)
class Config(VarianceRunConfig):
    """One small layer, trained anew each year on all that is known, corrects the straight regression; the baselines are
    fitted anew more often."""

    threads: int | Literal["auto"] = 1
    split: SplitConfig = SplitConfig("temporal", validation=0.02, test=0.3)
    epochs: int | None = 20
    minibatch_size: int = 128
    train_days: int = 250
    """Trading days after which the network is trained anew."""
    refit_days: int = 60
    """Trading days after which the baselines are fitted anew."""
    coverage: float = 0.9
    """Of the interval around the forecast."""
    model: PredictorConfig = PredictorConfig(network=NetworkConfig(hidden=(16,), activation="tanh"))
    algorithm: VarianceConfig = VarianceConfig(
        OptimizerConfig("adamw", learning_rate=3e-3, schedule=Schedule("cosine"), weight_decay=0.01)
    )
    evaluation: HeldOutConfig = HeldOutConfig(every=Every(20, "epochs"))

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("refit_days", "train_days"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(0 < self.coverage < 1, "coverage", self.coverage, "a fraction between 0 and 1")


# QLIKE of the last 30 % of the days, the same on every seed; `_low` and `_high` say what other days would do.
# `strongest_linear` sees all that the network sees: there the network is only not to be worse.
CLAIMS = (
    Claim("below_garch/qlike", ">=", 0.02),
    Claim("below_har/qlike", ">=", 0.005),
    Claim("below_strongest_linear/qlike", ">=", 0.0, margin=-0.01),
    Claim("interval/coverage", ">=", 0.85),
)


def data(config: Config) -> Splits:
    """The days in their order: what is learned from, what validates, and the latest to test on."""
    return split(dataset(market()), config.split, seed=config.seed)


def train(config: Config, run: Run) -> None:
    """A stage for each year of the test part, in which `volatility.train` learns from all days before it how to correct
    the straight regression."""
    days_known, splits = market(), data(config)
    first, count, held_out = int(splits.test.array("time")[0]), len(days_known.variance), len(splits.validation)
    said, bounds = np.zeros(count), np.zeros((2, count))
    tail = (1 - config.coverage) / 2
    for begin in range(first, count, config.train_days):
        end, stage = min(begin + config.train_days, count), run.stage(f"until day {begin}")
        straight = log_linear_fit(days_known.inputs[:begin], days_known.variance[:begin])(days_known.inputs)
        whole = dataset(days_known, straight)
        parts = ((0, begin - held_out), (begin - held_out, begin), (begin, end))
        if not stage.finished:
            volatility.train(config, stage, Splits(*(whole.select(np.arange(*part)) for part in parts)))
        forecast = straight + _says(load_model(stage.folder, "last"), whole)
        said[begin:end] = forecast[begin:end]
        lately = slice(max(0, begin - INTERVAL_DAYS), begin)
        ratios = np.quantile(days_known.variance[lately] / np.exp(forecast[lately]), [tail, 1 - tail])
        bounds[:, begin:end] = ratios[:, None] * np.exp(said[begin:end])
    run.finish_as(stage, _measured(config, run, first, np.exp(said[first:]), bounds[:, first:]))


def _says(model: Predictor, part: Dataset) -> Floats:
    """The logarithm of the variance that is expected of each day."""
    return np.concatenate([model.predict(batch).double().numpy() for batch in part.batches(4096)])


@cache
def market() -> Market:
    """S&P 500, 1999 to 2018, as it comes with the package arch."""
    with extra("applications"):
        from arch.data import sp500
    table = sp500.load()
    # Not the opening price: before 2006 it is the last close on 95 % of the days.
    high, low, close = (table[name].to_numpy(np.float64) for name in ("High", "Low", "Close"))
    variance = range_variance(high, low)
    returns = np.concatenate([[0.0], np.diff(np.log(close))])
    columns = {f"log variance {days}d": np.log(trailing_mean(variance, days)) for days in WINDOWS}
    columns |= {f"return {days}d": trailing_mean(returns, days) for days in WINDOWS[:3]}
    columns |= {f"loss {days}d": trailing_mean(np.minimum(returns, 0), days) for days in WINDOWS[:3]}
    columns |= {f"log squared return {days}d": np.log(trailing_mean(returns**2, days)) for days in WINDOWS[1:3]}
    known = np.stack(list(columns.values()), axis=1)[:-1]  # the evening before
    past = np.isfinite(known).all(1)
    return Market(known[past], tuple(columns), variance[1:][past], returns[1:][past])


def dataset(days: Market, known: Floats | None = None) -> Dataset:
    """What is known the evening before, and the logarithm of the day's variance, less what is `known` of it."""
    target = (np.log(days.variance) - (0.0 if known is None else known)).astype(np.float32)
    source = "S&P 500 of the package arch"
    return of_arrays(days.inputs, target, source, columns=days.columns, time=np.arange(len(target)))


def _baselines(config: Config, first: int) -> dict[str, Floats]:
    """Forecasts for the test days."""
    days, every = market(), config.refit_days
    return {
        "constant": np.full(len(days.variance) - first, days.variance[:first].mean()),
        "moving_average": moving_average(days.variance, first=first),
        "garch": gjr_garch(days.returns, days.variance, first=first, every=every),
        "har": log_linear(days.inputs[:, HAR], days.variance, first=first, every=every),
        "strongest_linear": log_linear(days.inputs, days.variance, first=first, every=every),
    }


def _measured(config: Config, run: Run, first: int, said: Floats, bounds: Floats) -> dict[str, float]:
    """QLIKE of what is said from day `first` on beside the baselines', with an interval over days, and how often a day
    lies between its `bounds` [2, days]."""
    test, baselines = market().variance[first:], _baselines(config, first)
    own = qlike(test, said)
    measured = {"test/qlike": float(own.mean())}
    for name, forecast in baselines.items():
        theirs = qlike(test, forecast)
        low, high = _interval(theirs - own, config.seed)
        measured |= {f"{name}/qlike": float(theirs.mean()), f"below_{name}/qlike": float((theirs - own).mean())}
        measured |= {f"below_{name}/qlike_low": low, f"below_{name}/qlike_high": high}
    inside = (test >= bounds[0]) & (test <= bounds[1])
    measured |= {
        "interval/coverage": float(inside.mean()),
        "interval/high_over_low": float((bounds[1] / bounds[0]).mean()),
    }
    write_pictures(run, _panels(test, said, baselines, bounds))
    return measured


def _interval(differences: Floats, seed: int) -> tuple[float, float]:
    """95 %, by the bootstrap over blocks of days that follow each other (Kuensch 1989)."""
    rng, blocks = np.random.default_rng(seed), -(-len(differences) // BLOCK_DAYS)
    begins = rng.integers(0, len(differences) - BLOCK_DAYS + 1, (DRAWS, blocks))
    means = differences[begins[..., None] + np.arange(BLOCK_DAYS)].reshape(DRAWS, -1).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _panels(test: Floats, said: Floats, baselines: Mapping[str, Floats], bounds: Floats) -> list[Panel]:
    shown = slice(len(test) - SHOWN_DAYS, len(test))
    day = np.arange(SHOWN_DAYS)
    percent = {name: 100 * np.sqrt(value) for name, value in {"network": said, "GARCH": baselines["garch"]}.items()}
    scored = {"network": said, "linear, all columns": baselines["strongest_linear"], "HAR": baselines["har"]}
    scored |= {"GARCH": baselines["garch"], "moving average": baselines["moving_average"]}
    worst = {name: np.cumsum(qlike(test, baselines[key]) - qlike(test, said)) for name, key in
             (("GARCH", "garch"), ("HAR", "har"), ("linear", "strongest_linear"))}  # fmt: skip
    return [
        Panel(
            "The last 250 days",
            "trading day",
            "daily volatility, %",
            [
                Line("measured", day, 100 * np.sqrt(test[shown]), "points"),
                *(Line(name, day, value[shown]) for name, value in percent.items()),
                Line("interval", day, 100 * np.sqrt(bounds[1, shown]), "dashed"),
                Line("", day, 100 * np.sqrt(bounds[0, shown]), "dashed"),
            ],
        ),
        Panel(
            "All test days, lower is better",
            "",
            "QLIKE",
            [Line(name, [0], [float(qlike(test, one).mean())], "bars") for name, one in scored.items()],
        ),
        Panel(
            "How far the network is ahead, day by day",
            "trading day",
            "QLIKE saved so far",
            [Line(f"over {name}", np.arange(len(test)), value) for name, value in worst.items()],
        ),
    ]
