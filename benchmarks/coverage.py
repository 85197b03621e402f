"""How often the bounds that claims are judged by are right: python -m benchmarks.coverage [--write].

Draws seeds from scores whose truth is known, thousands of times, and counts how often the one-sided 95 % bound is on
the right side of it. In all other cases `verify` would let a claim hold that is only just false. `--write` writes
docs/coverage.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.claims import percent
from training.intervals import bootstrap_quantile, interquartile_mean, share_quantile, student_quantile

PAGE = Path("docs", "coverage.md")
DRAWS = 20_000
"""Times that seeds are drawn; a share of 95 % is then known to 0.3 points (two standard errors)."""
DRAWS_OF_BOOTSTRAPS = 2_000
DRAWS_OF_SPLITS = 1_000
TRUTH_FROM = 2_000_000
HEADER = "| estimand | scores | seeds | the bound is right | a false claim holds |\n|---|---|---|---|---|\n"
Array: TypeAlias = NDArray[np.float64]
Draw: TypeAlias = Callable[[np.random.Generator, tuple[int, ...]], Array]


class Row(NamedTuple):
    """How often the lower 95 % bound is at most the truth; the target is 95 %."""

    estimand: str
    scores: str
    seeds: int
    right: float


def normal(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Seeds that differ as by many small causes."""
    return rng.normal(10, 3, size)


def bounded(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Returns that cannot exceed 500, which about a third of the seeds reach."""
    return np.minimum(500.0, rng.normal(490, 25, size))


def mixed(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """15 % of the seeds collapse."""
    return np.where(rng.random(size) < 0.15, rng.normal(100, 20, size), rng.normal(495, 5, size))


SCORES: dict[str, Draw] = {
    "normal": normal,
    "bounded: a third at the highest return": bounded,
    "mixed: 15 % of seeds collapse": mixed,
}


def of_mean(name: str, seeds: int, draws: int = DRAWS) -> Row:
    """Student's t."""
    draw = SCORES[name]
    truth = draw(np.random.default_rng(0), (TRUTH_FROM,)).mean()
    bounds = student_quantile(draw(np.random.default_rng(seeds), (draws, seeds)), 0.05)
    return Row("mean", name, seeds, float(np.mean(bounds <= truth)))


def of_iqm(name: str, seeds: int, draws: int = DRAWS_OF_BOOTSTRAPS) -> Row:
    """The bootstrap."""
    draw = SCORES[name]
    truth = interquartile_mean(draw(np.random.default_rng(0), (TRUTH_FROM,)))
    scores = draw(np.random.default_rng(seeds), (draws, seeds))
    bounds = [bootstrap_quantile(some, 0.05, resamples=1_000) for some in np.array_split(scores, 20)]
    return Row("iqm", name, seeds, float(np.mean(np.concatenate(bounds) <= truth)))


def of_success(share: float, seeds: int, draws: int = DRAWS) -> Row:
    """Clopper and Pearson's, where this share of all seeds reaches the target."""
    reached = np.random.default_rng(seeds).binomial(seeds, share, draws)
    bounds = np.array([share_quantile(count, seeds, 0.05) for count in range(seeds + 1)])
    return Row(
        "success",
        f"{percent(share)} of all seeds reach it",
        seeds,
        float(np.mean(bounds[reached] <= share)),
    )


def of_splits(seeds: int, *, corrected: bool, draws: int = DRAWS_OF_SPLITS) -> Row:
    """Accuracies of a linear classifier that each seed trains and tests on a split of its own of the same 600 samples.

    The truth is the accuracy of training on as many fresh samples, tested on many.
    """
    from sklearn.linear_model import RidgeClassifier

    rng = np.random.default_rng(0)
    features, samples, test = 10, 600, 120
    direction = rng.normal(size=features)
    direction /= np.linalg.norm(direction)

    def sample(count: int) -> tuple[Array, NDArray[np.int64]]:
        inputs = rng.normal(size=(count, features))
        return inputs, (inputs @ direction + 0.7 * rng.normal(size=count) > 0).astype(np.int64)

    def accuracy(inputs: Array, labels: NDArray[np.int64], test_inputs: Array, test_labels: NDArray[np.int64]) -> float:
        return float(RidgeClassifier().fit(inputs, labels).score(test_inputs, test_labels))

    many = sample(20_000)
    truth = np.mean([accuracy(*sample(samples - test), *many) for _ in range(200)])
    right = []
    for _ in range(draws):
        inputs, labels = sample(samples)
        scores = []
        for _ in range(seeds):
            order = rng.permutation(samples)
            held_out, own = order[:test], order[test:]
            scores.append(accuracy(inputs[own], labels[own], inputs[held_out], labels[held_out]))
        resplit = test / (samples - test) if corrected else 0.0
        right.append(student_quantile(np.array(scores), 0.05, resplit) <= truth)
    how = "corrected for it" if corrected else "as if independent"
    return Row("mean", f"splits of one data set, {how}", seeds, float(np.mean(right)))


def rows() -> list[Row]:
    """All that is told in the docs."""
    means = [of_mean(name, seeds) for name in SCORES for seeds in (5, 10, 20)]
    iqms = [of_iqm(name, 20) for name in SCORES]
    shares = [of_success(share, 20) for share in (0.7, 0.85)]
    splits = [of_splits(5, corrected=corrected) for corrected in (False, True)]
    return [*means, *iqms, *shares, *splits]


def table(found: Sequence[Row]) -> str:
    """As Markdown."""
    lines = [
        f"| {row.estimand} | {row.scores} | {row.seeds} | {100 * row.right:.1f} % | {100 * (1 - row.right):.1f} % |\n"
        for row in found
    ]
    return HEADER + "".join(lines)


def page(made: str) -> str:
    """The page in the docs."""
    return f"""\
<!-- `python -m benchmarks.coverage --write` writes this page. -->
# How often the bounds are right

A claim holds when the one-sided 95 % bound over seeds does. Here seeds are drawn from scores whose truth is known; the
bound should be on the right side of it in 95 % of all cases, and a claim that is only just false should hold in no more
than 5 %.

{made}
A mean of few seeds says nothing about the collapse that none of them showed: where seeds succeed or fail, claim
`of="success"`.
"""


if __name__ == "__main__":
    made = table(rows())
    print(made, end="")
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(made), encoding="utf-8")
        print(f"wrote {PAGE}")
