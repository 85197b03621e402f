"""Aggregates of scores with stratified bootstrap intervals, as Agarwal et al. 2021 define them.

"Deep Reinforcement Learning at the Edge of the Statistical Precipice", https://arxiv.org/abs/2108.13264, and its
library rliable 1.2.0. The scores of a group are one array [seeds] for each environment, the strata: seeds are drawn
again within an environment, never across. An environment may have more seeds than another.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from reports.comparison.records import Array
from training.intervals import PREDICTED, RESAMPLES, interquartile_mean

CONFIDENCE = 0.95
CURVE_RESAMPLES = 2_000
"""For a curve or a profile, whose every point has an interval."""
MOST_SEEDS = 200
"""`seeds_to_settle` looks no further."""
Scores = Sequence[Array]
"""[environments] of [..., seeds]."""
Statistic = Callable[..., Array]
"""Of scores [..., seeds], one argument for each environment: the aggregate [...]."""


class Figure(NamedTuple):
    """A number and its 95 % interval. No bounds: one seed, or seeds that are equal, say nothing about them."""

    value: float
    low: float | None = None
    high: float | None = None


def mean(*tasks: Array, axis: int = -1) -> Array:
    """The mean over environments of the mean over seeds."""
    return np.asarray(np.mean([task.mean(axis=axis) for task in tasks], axis=0))


def median_of_tasks(*tasks: Array, axis: int = -1) -> Array:
    """The median over environments of the mean over seeds; rliable's `aggregate_median`."""
    return np.asarray(np.median([task.mean(axis=axis) for task in tasks], axis=0))


def median_of_seeds(task: Array, axis: int = -1) -> Array:
    """The median over the seeds of one environment."""
    return np.asarray(np.median(task, axis=axis))


def iqm(*tasks: Array, axis: int = -1) -> Array:
    """The interquartile mean of all runs; an environment weighs by its number of seeds."""
    return interquartile_mean(np.concatenate(tasks, axis=axis), axis=axis)


def optimality_gap(*tasks: Array, target: float = 1.0, axis: int = -1) -> Array:
    """By how much the runs fail to reach the target, in the mean; more than the target counts as the target."""
    return target - mean(*(np.minimum(task, target) for task in tasks), axis=axis)


def share_above(*tasks: Array, axis: int = -1) -> Array:
    """Of [..., seeds] that are 1 above a score and 0 below: the share, each environment with equal weight."""
    return mean(*tasks, axis=axis)


def figure(scores: Scores, statistic: Statistic, resamples: int = RESAMPLES) -> Figure:
    """An aggregate of scores [seeds], with the percentile interval of a stratified bootstrap."""
    value, low, high = estimate(scores, statistic, resamples)
    bounded = np.isfinite(low) and np.isfinite(high)
    return Figure(float(value), float(low), float(high)) if bounded else Figure(float(value))


def estimate(scores: Scores, statistic: Statistic, resamples: int = CURVE_RESAMPLES) -> tuple[Array, Array, Array]:
    """An aggregate of scores [..., seeds] and its lower and upper bound, each [...]; NaN where there is no bound.

    The draws have a fixed seed and the scores are sorted, so that the order of seeds changes nothing.
    """
    from scipy.stats import bootstrap

    tasks = [np.sort(np.asarray(task, np.float64), axis=-1) for task in scores]
    value = np.asarray(statistic(*tasks, axis=-1))
    unknown = np.full_like(value, np.nan)
    if min(task.shape[-1] for task in tasks) < 2:
        return value, unknown, unknown
    drawn = bootstrap(
        tasks,
        statistic,
        n_resamples=resamples,
        axis=-1,
        confidence_level=CONFIDENCE,
        method="percentile",
        batch=max(1, min(resamples, 20_000_000 // max(1, sum(task.size for task in tasks)))),
        rng=np.random.default_rng(0),
    ).confidence_interval
    same = np.all([np.ptp(task, axis=-1) == 0 for task in tasks], axis=0)
    return value, np.where(same, np.nan, drawn.low), np.where(same, np.nan, drawn.high)


def profile(scores: Scores, taus: Array) -> tuple[Array, Array, Array]:
    """The share of runs with a score above each tau, and its bounds, each [taus]."""
    above = [(task > taus[:, None]).astype(np.float64) for task in scores]
    return estimate(above, share_above)


def probability_of_improvement(first: Scores, second: Scores) -> Figure:
    """How probably a run of the first group scores higher than one of the second, a tie counted as half.

    The mean over environments of Mann and Whitney's U divided by the number of pairs. The groups are drawn again apart.
    """
    return figure([*first, *second], partial(_share_of_wins, count=len(first)), CURVE_RESAMPLES)


def _share_of_wins(*tasks: Array, count: int, axis: int = -1) -> Array:
    shares = []
    for mine, other in zip(tasks[:count], tasks[count:], strict=True):
        first, second = np.moveaxis(mine, axis, -1), np.moveaxis(other, axis, -1)
        ahead = np.sign(first[..., :, None] - second[..., None, :])
        shares.append((ahead.mean(axis=(-2, -1)) + 1) / 2)
    return np.asarray(np.mean(shares, axis=0))


def chance_of_order(first: Scores, second: Scores, seeds: int | None = None) -> float | None:
    """The chance that with other seeds the mean of the first group is above that of the second again.

    From the predictive distribution of the mean of normal scores with Jeffreys' prior, as in
    `training.intervals.chance_to_hold_again`. The draws have a fixed seed.

    Args:
        first: the group with the higher mean.
        second: the other one.
        seeds: how many others in each environment; None: as many as there are.

    Returns:
        None where one seed, or seeds that are all equal, say nothing about others.
    """
    both = [*first, *second]
    if min(map(len, both)) < 2 or not any(np.ptp(task) for task in both):
        return None
    rng = np.random.default_rng(0)
    ahead = np.mean([_others(task, seeds, rng) for task in first], axis=0)
    behind = np.mean([_others(task, seeds, rng) for task in second], axis=0)
    return float(np.mean(ahead > behind))


def _others(task: Array, seeds: int | None, rng: np.random.Generator) -> Array:
    """Draws of the mean of other seeds, after these."""
    own, task = len(task), np.sort(task)
    deviation = np.sqrt((own - 1) * task.var(ddof=1) / rng.chisquare(own - 1, PREDICTED))
    error = np.sqrt(1 / own + 1 / (seeds or own))
    return np.asarray(task.mean() + deviation * error * rng.normal(size=PREDICTED))


def seeds_to_settle(first: Scores, second: Scores, chance: float = CONFIDENCE) -> int | None:
    """The fewest other seeds in each environment that show the same order with this chance; None: not even many."""
    if (chance_of_order(first, second, MOST_SEEDS) or 0.0) < chance:
        return None
    return bisect_left(
        range(MOST_SEEDS), 1, lo=2, key=lambda seeds: (chance_of_order(first, second, seeds) or 0.0) >= chance
    )


def coverage(seeds: int) -> float:
    """How often such an interval of a mean holds the true one, about, for normal scores and few seeds.

    It is as wide as that of a known deviation, which is estimated with a divisor of `seeds`; Student's t says how often
    that is wide enough. Simulated intervals hold it up to two percent less often. Of two seeds it ends at both of them:
    they are on different sides of the true mean in half of all cases.
    """
    from scipy.stats import norm, t

    if seeds <= 2:
        return 0.5 if seeds == 2 else 0.0
    wide = norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt((seeds - 1) / seeds)
    return float(2 * t.cdf(wide, seeds - 1) - 1)
