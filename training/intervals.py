"""What a few seeds allow to conclude: an estimate and its confidence bounds. The unit is the seed, never the episode.

- `mean`: Student's t, whatever the number of seeds. Seeds that split one data set anew share most of it, so that their
  scores are correlated; Nadeau and Bengio 2003, "Inference for the Generalization Error", equation 6, adds the ratio of
  test to training samples (`resplit`) to one over the number of seeds.
- `iqm`: the interquartile mean, with a percentile bootstrap over seeds (Agarwal et al. 2021, "Deep Reinforcement
  Learning at the Edge of the Statistical Precipice"; with one task the stratified bootstrap has one stratum).
- `success`: the share of seeds that succeed, with the exact binomial bound (Clopper and Pearson 1934).

`python -m benchmarks.coverage` measures how often each of them is right.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Estimand: TypeAlias = Literal["mean", "iqm", "success"]
Scores: TypeAlias = ArrayLike
"""[seeds]: one score for each seed, all finite; of `success` 1 where it succeeded and 0 where not."""

RESAMPLES = 10_000
PREDICTED = 20_000
"""Draws from the predictive distribution of other seeds."""
PREDICTED_IQM = 200
"""The same for the interquartile mean, where each draw is a bootstrap of its own."""
MOST_SEEDS = 200
"""`seeds_to_hold_again` looks no further."""


def interquartile_mean(scores: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
    """The mean of the middle half of scores [..., seeds]; a quarter, rounded down, is cut off each end."""
    from scipy.stats import trim_mean

    return np.asarray(trim_mean(np.asarray(scores, np.float64), 0.25, axis=axis))


def estimate(scores: Scores, of: Estimand = "mean") -> float:
    """The one number that stands for all seeds."""
    values = _checked(scores)
    if np.ptp(values) == 0:
        return float(values[0])  # a mean of equal numbers may differ from them in the last bit
    return float(interquartile_mean(values) if of == "iqm" else values.mean())


def lower_bound(
    scores: Scores, of: Estimand = "mean", *, confidence: float = 0.95, resplit: float = 0.0
) -> float | None:
    """The one-sided bound that the true value is above with this confidence; None where `quantile` has none."""
    return quantile(scores, 1 - confidence, of, resplit=resplit)


def upper_bound(
    scores: Scores, of: Estimand = "mean", *, confidence: float = 0.95, resplit: float = 0.0
) -> float | None:
    """The one-sided bound that the true value is below with this confidence; None where `quantile` has none."""
    return quantile(scores, confidence, of, resplit=resplit)


def interval(
    scores: Scores, of: Estimand = "mean", *, confidence: float = 0.95, resplit: float = 0.0
) -> tuple[float, float] | None:
    """The two-sided interval around `estimate`; None where `quantile` has none."""
    levels = (1 - confidence) / 2, (1 + confidence) / 2
    low, high = (quantile(scores, level, of, resplit=resplit) for level in levels)
    return None if low is None or high is None else (low, high)


def quantile(scores: Scores, level: float, of: Estimand = "mean", *, resplit: float = 0.0) -> float | None:
    """Where the confidence distribution of the true value has this quantile.

    None for a mean or an interquartile mean of one seed, or of seeds that do not differ at all: they say nothing about
    how far others would be from them.
    """
    values = _checked(scores)
    if of == "success":
        return share_quantile(int(values.sum()), len(values), level)
    if np.ptp(values) == 0:
        return None
    return float(student_quantile(values, level, resplit) if of == "mean" else bootstrap_quantile(values, level))


def student_quantile(scores: ArrayLike, level: float, resplit: float = 0.0) -> NDArray[np.float64]:
    """Where Student's t puts this quantile of the mean of scores [..., seeds]."""
    from scipy.stats import t

    values = np.asarray(scores, np.float64)
    seeds = values.shape[-1]
    error = values.std(axis=-1, ddof=1) * np.sqrt(1 / seeds + resplit)
    return np.asarray(values.mean(axis=-1) + t.ppf(level, seeds - 1) * error)


def bootstrap_quantile(scores: ArrayLike, level: float, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """This quantile of the interquartile means of scores [..., seeds] drawn again with replacement.

    The draws have a fixed seed: the same scores give the same verdict.
    """
    from scipy.stats import bootstrap

    drawn = bootstrap(
        (np.asarray(scores, np.float64),),
        interquartile_mean,
        n_resamples=resamples,
        axis=-1,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return np.asarray(np.quantile(drawn.bootstrap_distribution, level, axis=-1))


def share_quantile(successes: int, seeds: int, level: float) -> float:
    """Clopper and Pearson's bound of the share of all seeds that succeed: a lower one below a level of 0.5."""
    from scipy.stats import binomtest

    side: Literal["greater", "less"] = "greater" if level < 0.5 else "less"
    found = binomtest(successes, seeds, alternative=side).proportion_ci(max(level, 1 - level), method="exact")
    return float(found.low if level < 0.5 else found.high)


def chance_to_hold_again(
    scores: Scores, threshold: float, seeds: int, of: Estimand = "mean", *, resplit: float = 0.0
) -> float:
    """The chance that the lower bound of as many other seeds is at least the threshold, after these.

    From the predictive distribution of the other seeds: of a mean that of normal scores, of a success that of the share
    (both with Jeffreys' prior), of an interquartile mean the scores drawn again, twice. The draws have a fixed seed.
    """
    values = _checked(scores)
    if of == "success":
        return _chance_of_share(int(values.sum()), len(values), threshold, seeds)
    rng = np.random.default_rng(0)
    if of == "iqm":
        population = rng.choice(values, (PREDICTED_IQM, len(values)))
        others = np.take_along_axis(population, rng.integers(len(values), size=(PREDICTED_IQM, seeds)), axis=-1)
        bounds = [bootstrap_quantile(other, 0.05, resamples=500) for other in others]
        return float(np.mean(np.asarray(bounds) >= threshold))
    own = len(values)
    deviation = np.sqrt((own - 1) * values.var(ddof=1) / rng.chisquare(own - 1, PREDICTED))
    mean = values.mean() + deviation * np.sqrt(1 / own + 1 / seeds) * rng.normal(size=PREDICTED)
    spread = deviation * np.sqrt(rng.chisquare(seeds - 1, PREDICTED) / (seeds - 1))
    from scipy.stats import t

    bounds = mean + t.ppf(0.05, seeds - 1) * spread * np.sqrt(1 / seeds + resplit)
    return float(np.mean(bounds >= threshold))


def seeds_to_hold_again(
    scores: Scores, threshold: float, of: Estimand = "mean", *, resplit: float = 0.0, chance: float = 0.95
) -> int | None:
    """The fewest other seeds that hold again with this chance; None where not even many would, or for `iqm`."""
    if of == "iqm":
        return None
    values = _checked(scores)

    def enough(seeds: int) -> bool:
        return chance_to_hold_again(values, threshold, seeds, of, resplit=resplit) >= chance

    if of == "success":  # more seeds may hold less often: a whole number of them must reach it
        return next(filter(enough, range(2, MOST_SEEDS + 1)), None)
    return bisect_left(range(MOST_SEEDS), 1, lo=2, key=enough) if enough(MOST_SEEDS) else None


def _chance_of_share(successes: int, own: int, threshold: float, seeds: int) -> float:
    from scipy.stats import beta, betabinom

    counts = np.arange(1, seeds + 1)
    enough = counts[beta.ppf(0.05, counts, seeds - counts + 1) >= threshold]  # the bounds of `share_quantile`
    if not len(enough):
        return 0.0
    return float(betabinom.sf(enough[0] - 1, seeds, successes + 0.5, own - successes + 0.5))


def _checked(scores: Scores) -> NDArray[np.float64]:
    values = np.asarray(scores, np.float64)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(f"scores are {scores!r}: they must be finite numbers [seeds], at least one")
    return values
