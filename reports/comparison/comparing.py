"""Computes a comparison from the scores and curves of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from reports.comparison.computed import Comparison, Pair, Part, Summary
from reports.comparison.curves import Axis, band, efficiency, known, shared_budget
from reports.comparison.groups import Group, Grouped, Seed
from reports.comparison.normalization import Scale, scale
from reports.comparison.records import Array
from reports.comparison.statistics import (
    Scores,
    chance_of_order,
    coverage,
    figure,
    iqm,
    mean,
    median_of_seeds,
    median_of_tasks,
    optimality_gap,
    probability_of_improvement,
    profile,
    seeds_to_settle,
)
from training.claims import percent
from training.intervals import RESAMPLES

TAUS = 101
"""Points of a performance profile, from the lowest to the highest score."""
FEW_SEEDS = 10
"""With fewer the reader is told how far an interval is to be trusted."""
INTERVALS = (
    f"intervals: 95 %, percentile bootstrap over seeds, stratified by environment, {RESAMPLES:,} resamples "
    "(Agarwal et al. 2021)"
)


def compare(
    grouped: Grouped,
    *,
    metric: str,
    at: str = "final",
    normalize: Sequence[str] = (),
    target: float | None = None,
    lower_is_better: bool = False,
) -> Comparison:
    """Computes everything.

    Args:
        grouped: the groups with their scores.
        metric: what the scores are of.
        at: `final` or `best`.
        normalize: see `normalization.scale`.
        target: for the optimality gap in each environment; None: what the experiments claim to reach.
        lower_is_better: the lowest score is the best.

    Raises:
        UserError: a scale that is not known.
    """
    scores = {
        task: {one.name: _scores(one.seeds[task]) for one in grouped.groups if task in one.seeds}
        for task in grouped.tasks
    }
    remarks = list(grouped.remarks)
    tasks = {task: _task(task, grouped.groups, metric, target, lower_is_better) for task in grouped.tasks}
    remarks += [line for task, part in tasks.items() for line in _on_seeds(task, part) + _on_curves(task, part)]
    overall, told = None, None
    shared = [one for one in grouped.groups if len(one.seeds) == len(grouped.tasks)]
    if len(grouped.tasks) > 1 or normalize:
        if shared:
            common = scale(normalize, scores, lower_is_better=lower_is_better)
            overall, told = _overall(shared, grouped.tasks, common), common.told
        missing = [one.name for one in grouped.groups if one not in shared]
        if missing:
            remarks.append(
                f"over all environments: without {', '.join(missing)}, which are not in each; runs of several "
                "experiments are one group under one label (LABEL:RUN)"
            )
    out = [(one.source, one.why) for one in grouped.left_out]
    return Comparison(metric, at, lower_is_better, tasks, overall, told, grouped.differences, out, remarks)


def _task(task: str, groups: Sequence[Group], metric: str, target: float | None, lower: bool) -> Part:
    members = {one.name: one.seeds[task] for one in groups if task in one.seeds}
    claimed = {
        seed.record.targets[metric] for seeds in members.values() for seed in seeds if metric in seed.record.targets
    }
    goal = target if target is not None else claimed.pop() if len(claimed) == 1 else None
    curves = {
        name: [seed.record.curves[metric] for seed in seeds if metric in seed.record.curves]
        for name, seeds in members.items()
    }
    budgets = [seed.record.budget for seeds in members.values() for seed in seeds]
    budget = shared_budget(budgets, [curve for several in curves.values() for curve in several])
    begin = max((float(curve.steps[0]) for several in curves.values() for curve in several), default=0.0)
    scores = {name: [_scores(seeds)] for name, seeds in members.items()}
    taus = _taus(scores)
    summaries = {}
    for name, seeds in members.items():
        complete = len(curves[name]) == len(seeds)
        own = curves[name] if complete else []
        axes: tuple[Axis, ...] = ("env_steps", "seconds")
        ends = [known(curve, "seconds").seconds[-1:] for curve in own]
        timed = [float(end[0]) for end in ends if len(end)]
        summaries[name] = _summary(
            {task: seeds},
            scores[name],
            taus,
            goal,
            lower=lower,
            efficiency=efficiency(own, begin, budget) if own and budget else None,
            curves={axis: band(own, axis) for axis in axes},
            wall_time_s=figure([np.array(timed)], mean) if timed and len(timed) == len(own) else None,
        )
    unit = next(seed.record.unit for seeds in members.values() for seed in seeds)
    return Part(_ranked(summaries, lower=lower), _pairs(scores, lower=lower), goal, budget, unit)


def _overall(groups: Sequence[Group], tasks: Sequence[str], common: Scale) -> Part:
    """Over all environments on one scale, on which the highest score is always the best."""
    scores = {one.name: [common.apply(task, _scores(one.seeds[task])) for task in tasks] for one in groups}
    taus = _taus(scores)
    summaries = {
        one.name: _summary({task: one.seeds[task] for task in tasks}, scores[one.name], taus, 1.0) for one in groups
    }
    return Part(_ranked(summaries), _pairs(scores), 1.0)


def _summary(
    seeds: Mapping[str, Sequence[Seed]],
    scores: Scores,
    taus: Array,
    target: float | None,
    *,
    lower: bool = False,
    **more: Any,
) -> Summary:
    median = median_of_seeds if len(scores) == 1 else median_of_tasks
    gap = None
    if target is not None:
        sign = -1.0 if lower else 1.0
        gap = figure([sign * task for task in scores], partial(optimality_gap, target=sign * target))
    bounds = [array.tolist() for array in profile(scores, taus)]
    return Summary(
        {task: values.tolist() for task, values in zip(seeds, scores, strict=True)},
        {task: [seed.record.seed for seed in several] for task, several in seeds.items()},
        figure(scores, mean),
        figure(scores, median),
        figure(scores, iqm),
        gap,
        dict(zip(("tau", "value", "low", "high"), [taus.tolist(), *bounds], strict=True)),
        **more,
    )


def _taus(scores: Mapping[str, Scores]) -> Array:
    every = np.concatenate([task for several in scores.values() for task in several])
    return np.linspace(every.min(), every.max(), TAUS)


def _ranked(summaries: Mapping[str, Summary], *, lower: bool = False) -> dict[str, Summary]:
    best_first = sorted(summaries, key=lambda name: summaries[name].mean.value, reverse=not lower)
    return {name: summaries[name] for name in best_first}


def _pairs(scores: Mapping[str, Scores], *, lower: bool = False) -> list[Pair]:
    """Every two groups."""
    signed = {name: [-task if lower else task for task in several] for name, several in scores.items()}
    order = sorted(signed, key=lambda name: float(mean(*signed[name])), reverse=True)
    return [
        Pair(
            first,
            second,
            probability_of_improvement(signed[first], signed[second]),
            chance_of_order(signed[first], signed[second]),
            seeds_to_settle(signed[first], signed[second]),
        )
        for first, second in combinations(order, 2)
    ]


def _on_seeds(task: str, part: Part) -> list[str]:
    """What few seeds, or seeds that do not differ, leave open."""
    lines = []
    for name, summary in part.groups.items():
        scores = summary.scores[task]
        if len(scores) == 1:
            lines.append(f"{task}: {name} is one seed: nothing is known about others")
        elif len(set(scores)) == 1:
            lines.append(
                f"{task}: {name} measured {scores[0]:.6g} on each of {len(scores)} seeds: they do not differ, so that "
                "there is no interval; it is not that others could not"
            )
    few = {len(summary.scores[task]) for summary in part.groups.values()}
    return lines + [
        f"{task}: {count} seeds are few: their 95 % interval of a mean holds the true one in about "
        f"{percent(coverage(count))} of all cases if scores are normal, less often if some seeds collapse"
        for count in sorted(few)
        if 1 < count < FEW_SEEDS
    ]


def _on_curves(task: str, part: Part) -> list[str]:
    lines = []
    steps, clocks = (
        {name: one.curves.get(axis) for name, one in part.groups.items()} for axis in ("env_steps", "seconds")
    )
    if any(one is not None and one.interpolated for one in steps.values()):
        lines.append(f"{task}: runs of a group were measured at different {part.unit}: curves are at common points")
    for name, one in clocks.items():
        if one is None and steps[name] is not None:
            lines.append(
                f"{task}: {name} has no curve over the wall clock: no time is told, or none that all its runs share"
            )
    return lines


def _scores(seeds: Sequence[Seed]) -> Array:
    return np.array([seed.score for seed in seeds], np.float64)
