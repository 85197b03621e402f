"""Digits are turned while a classifier reads them: one refit after ADWIN's alarm does what constant refitting does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import rotate

from training.claims import Claim
from training.core import Counters
from training.data.sources import sklearn_dataset
from training.drift import Adwin, AdwinConfig
from training.errors import require
from training.extras import extra
from training.recipe import MeasureConfig
from training.run.run import Run

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Config(MeasureConfig):
    """A stream of digits whose labels come after what is said of them."""

    learned: int = 600
    """Upright digits that are learned from before."""
    stream: int = 3_000
    change: int = 1_500
    degrees: float = 40.0
    labels: int = 150
    """As many labels a refit learns from, those after an alarm; and so many samples apart the refits are that do not
    wait for one."""
    least_error: float = 0.08
    """An alarm of a classifier that is better than this is none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.change < self.stream, "change", self.change, f"above 0 and below stream = {self.stream}")
        require(self.labels >= 20, "labels", self.labels, "at least 20")


# In the last quarter, long after the change; points of accuracy. The refits that wait for nothing see 20 times as many
# labels.
CLAIMS = (
    Claim("alarm_over_never/accuracy", ">=", 0.5, seeds=5),
    Claim("alarm_over_always/accuracy", ">=", -0.04, seeds=5),
    Claim("alarm/part_of_refits", "<=", 0.2, seeds=5),
)


def train(config: Config, run: Run) -> None:
    """The same stream, read by a classifier that is never fitted again, after an alarm, and always."""
    images = sklearn_dataset("digits")
    pixels, labels = images.array("input").astype(np.float64) / 255, images.array("target")
    rng = np.random.default_rng(config.seed)
    order = rng.permutation(len(labels))
    known, others = order[: config.learned], order[config.learned :]
    chosen = rng.choice(others, config.stream)
    seen = pixels[chosen]
    seen[config.change :] = rotate(seen[config.change :], config.degrees, axes=(1, 2), reshape=False, order=1)
    inputs, targets = seen.reshape(config.stream, -1), labels[chosen]
    start = _fitted(pixels[known].reshape(len(known), -1), labels[known])
    measured: dict[str, float] = {}
    for name, wanted in (("never", _never), ("alarm", _on_alarm(config)), ("always", _always)):
        right, refits = _read(start, inputs, targets, config.labels, wanted)
        measured |= {f"{name}/accuracy": float(right[-config.stream // 4 :].mean()), f"{name}/refits": float(refits)}
    over = {f"alarm_over_{one}/accuracy": measured["alarm/accuracy"] - measured[f"{one}/accuracy"]
            for one in ("never", "always")}  # fmt: skip
    part = {"alarm/part_of_refits": measured["alarm/refits"] / measured["always/refits"]}
    run.finish(Counters(), metrics=measured | over | part)


Wanted = Callable[[int, bool], bool]
"""Whether to refit once enough labels have come, by the sample and whether it was read right."""


def _read(model: Any, inputs: Array, targets: Array, labels: int, wanted: Wanted) -> tuple[Array, int]:
    """Which samples were read right, each before its label came, and how often the classifier was fitted anew."""
    right, refits, since = np.zeros(len(targets), np.bool_), 0, None
    for index in range(len(targets)):
        right[index] = model.predict(inputs[index : index + 1])[0] == targets[index]
        if wanted(index, bool(right[index])) and since is None:
            since = index
        if since is not None and index - since + 1 >= labels:
            rows = slice(index - labels + 1, index + 1)
            model, refits, since = _fitted(inputs[rows], targets[rows]), refits + 1, None
    return right, refits


def _never(_: int, __: bool) -> bool:
    return False


def _always(_: int, __: bool) -> bool:
    return True


def _on_alarm(config: Config) -> Wanted:
    # An error that falls is no alarm: the classifier became better.
    detector = Adwin(AdwinConfig(side="up"))
    return lambda _, right: detector.add(float(not right)) and detector.mean > config.least_error


def _fitted(inputs: Array, targets: Array) -> Any:
    with extra("data"):
        from sklearn.svm import SVC
    return SVC(C=10.0).fit(inputs, targets)
