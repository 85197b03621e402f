"""ADWIN finds a planted change within 300 values in every stream, and raises no alarm in 100,000 that do not change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.claims import Claim
from training.core import Counters
from training.drift import Adwin
from training.recipe import MeasureConfig
from training.run.run import Run

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Config(MeasureConfig):
    """Streams of each kind, of which a half comes before the change."""

    streams: int = 10
    before: int = 5_000
    after: int = 5_000
    still: int = 100_000
    """Values without a change."""


# The worst of all streams of a seed: in three seeds 151 to 247. River's ADWIN with the same defaults gives the same
# first alarm (tests/training/test_drift.py). Without a change there may be none in more than seven of ten seeds.
CLAIMS = (
    Claim("error/delay_max", "<=", 300.0, seeds=10),
    Claim("mean/delay_max", "<=", 300.0, seeds=10),
    Claim("false/alarms", "<=", 0.0, of="success", seeds=20),
)


def _errors(rng: np.random.Generator, config: Config) -> Values:
    """A classifier that was wrong in a tenth, and then in three."""
    wrong = [rng.random(config.before) < 0.1, rng.random(config.after) < 0.3]
    return np.concatenate(wrong).astype(np.float64)


def _means(rng: np.random.Generator, config: Config) -> Values:
    """A mean that rose by half a standard deviation."""
    return np.concatenate([rng.normal(size=config.before), rng.normal(0.5, 1.0, config.after)])


KINDS: dict[str, Callable[[np.random.Generator, Config], Values]] = {"error": _errors, "mean": _means}


def train(config: Config, run: Run) -> None:
    """Nothing is trained: detectors see streams whose changes are known."""
    measured: dict[str, float] = {}
    early = 0
    for name, make in KINDS.items():
        delays = []
        for stream in range(config.streams):
            rng = np.random.default_rng([config.seed, stream, len(name)])
            found = _alarms(make(rng, config))
            early += sum(index < config.before for index in found)
            later = [index - config.before for index in found if index >= config.before]
            delays.append(later[0] if later else config.after)
        measured |= {f"{name}/delay_max": float(max(delays)), f"{name}/delay_mean": float(np.mean(delays))}
    still = np.random.default_rng([config.seed, 99])
    half = config.still // 2
    alarms = len(_alarms(still.normal(size=half))) + len(_alarms((still.random(half) < 0.1).astype(np.float64)))
    run.finish(Counters(), metrics=measured | {"false/alarms": float(alarms), "before/alarms": float(early)})


def _alarms(values: Values) -> list[int]:
    detector = Adwin()
    return [index for index, value in enumerate(values.tolist()) if detector.add(value)]
