"""What a page is about: the runs, how they compare, and what only their experiments can tell of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reports.comparison.computed import Comparison
from reports.comparison.curves import Axis, band
from reports.comparison.groups import Grouped
from reports.comparison.records import Curve, LeftOut
from reports.html.facts import Facts
from reports.html.figures import POINTS, Figure, make_figure
from reports.html.learned import HeldOut, Sample

MAIN = (
    "rollout/return_mean",
    "evaluation/return_mean",
    "optimizer/loss",
    "learner/loss_nats",
    "learner/accuracy",
    "learner/squared_error",
    "validation/loss_nats",
    "validation/log_likelihood",
    "validation/accuracy",
    "validation/r2",
    "value/explained_variance",
    "policy/entropy",
)
"""The curves that are drawn, where a run has them, after that of what is compared."""
INTERVAL = "line: mean of seeds; band: its 95 % interval"


@dataclass(frozen=True)
class Again:
    """What only a run's experiment can tell: what it changed, and how it is run again."""

    default: str = ""
    """Whose values it changed, in words."""
    changed: Sequence[tuple[str, str, str]] = ()
    """Of each option: its name, the default, and what this run has."""
    commands: Sequence[str] = ()
    """What trains it again, in order."""
    has_policy: bool = False
    unknown: str = ""
    """Why nothing of this is known."""


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone."""

    name: str
    runs: Sequence[Facts]


@dataclass(frozen=True)
class Asked:
    """Everything that is shown."""

    words: Sequence[str]
    """What the user asked for."""
    metric: str
    runs: Sequence[Facts]
    left_out: Sequence[LeftOut]
    """Why some of them, or other things that were named, are not compared."""
    grouped: Grouped | None = None
    comparison: Comparison | None = None
    why_not: str = ""
    """Why nothing is compared."""
    again: Mapping[Path, Again] = field(default_factory=dict)
    """By the folder of the run."""
    held_out: HeldOut | str | None = None
    """What the model says of samples it has not seen, or why that is not known; None: it learned from no samples."""
    samples: Sequence[Sample] | str = ()
    """What a language model writes, or why that is not known."""

    @property
    def one(self) -> Facts | None:
        """The run, where the page is about one."""
        foreign = self.grouped is not None and any(
            seed.record.foreign for one in self.grouped.groups for seeds in one.seeds.values() for seed in seeds
        )
        return self.runs[0] if len(self.runs) == 1 and not foreign else None

    @property
    def groups(self) -> list[Group]:
        """The runs that are compared, by group; where none are, each run alone."""
        if self.grouped is None:
            return [Group(facts.folder.name, [facts]) for facts in self.runs]
        by_source = {str(facts.folder): facts for facts in self.runs}
        return [
            Group(
                one.name,
                [
                    by_source[seed.record.source]
                    for seeds in one.seeds.values()
                    for seed in seeds
                    if seed.record.source in by_source
                ],
            )
            for one in self.grouped.groups
        ]

    @property
    def names(self) -> list[str]:
        """Of the groups: each has one look on the whole page."""
        return [group.name for group in self.groups]


Panels = Mapping[str, Mapping[str, list[Mapping[str, Curve]]]]
"""By environment or stage, and by group: every metric's curve of each run."""


def learning_curves(asked: Asked) -> Iterator[Figure]:
    """A figure for each of the metrics that matter, in each environment or stage."""
    panels = _panels(asked)
    for metric in dict.fromkeys((asked.metric, *MAIN)):
        for title, groups in panels.items():
            bands = {
                name: [curves[metric] for curves in several if metric in curves] for name, several in groups.items()
            }
            yield from _figure(asked, metric, title if len(panels) > 1 else "", bands, _unit(asked))


def speeds(asked: Asked) -> Iterator[Figure]:
    """How fast the runs went."""
    panels: dict[str, dict[str, list[Curve]]] = {}
    for group in asked.groups:
        for facts in group.runs:
            for part in facts.parts:
                if (speed := part.speed) is not None:
                    panels.setdefault(part.name, {}).setdefault(group.name, []).append(speed)
    rates = [part.rate_name for facts in asked.runs for part in facts.parts if part.speed is not None]
    for title, groups in panels.items():
        yield from _figure(asked, f"{rates[0]} per second", title, groups, _unit(asked))


def _figure(
    asked: Asked, metric: str, title: str, curves: Mapping[str, Sequence[Curve]], unit: str, axis: Axis = "env_steps"
) -> Iterator[Figure]:
    found = {name: band([_thinned(one) for one in several], axis) for name, several in curves.items() if several}
    bands = {name: one for name, one in found.items() if one is not None and len(one.x) > 1}
    if not bands:
        return
    seeds = max(len(curves[name]) for name in bands)
    told = f"{unit}\n{INTERVAL}" if seeds > 1 else unit
    ends = "; ".join(f"{name} from {one.value[0]:.4g} to {one.value[-1]:.4g}" for name, one in bands.items())
    yield make_figure(
        f"{metric}, {title}" if title else metric,
        bands,
        names=asked.names,
        x_label=told,
        y_label=metric,
        about=f"{metric} over {unit}: {ends}",
    )


def _panels(asked: Asked) -> Panels:
    panels: dict[str, dict[str, list[Mapping[str, Curve]]]] = {}
    if asked.grouped is None:
        for facts in asked.runs:
            for part in facts.parts:
                panels.setdefault(part.name, {}).setdefault(facts.folder.name, []).append(part.curves)
        return panels
    by_source = {str(facts.folder): facts for facts in asked.runs}
    for group in asked.grouped.groups:
        for task, seeds in group.seeds.items():
            for seed in seeds:
                own = by_source.get(seed.record.source)
                parts = {part.name: part.curves for part in own.parts} if own else {"": seed.record.curves}
                for name, curves in parts.items():
                    title = ", ".join(filter(None, (task, name)))
                    panels.setdefault(title, {}).setdefault(group.name, []).append(curves)
    return panels


def _thinned(curve: Curve) -> Curve:
    """With at most `POINTS` points: an interval at each of very many takes long, and nobody sees it."""
    if len(curve.steps) <= POINTS:
        return curve
    keep = np.unique(np.linspace(0, len(curve.steps) - 1, POINTS).round().astype(int))
    return Curve(*(array[keep] for array in curve))


def _unit(asked: Asked) -> str:
    return next((part.unit for facts in asked.runs for part in facts.parts), "env steps")
