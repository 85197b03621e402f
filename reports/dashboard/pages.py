"""The pages of the dashboard. Every value in them is escaped: what is in the folder of a run may be from anybody."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from markupsafe import Markup

from reports.comparison.comparing import compare
from reports.comparison.groups import group
from reports.comparison.records import LeftOut
from reports.comparison.runs import flattened, read_record
from reports.dashboard.curves import LOOKS, svg
from reports.dashboard.listed import SORTED_BY, Asked, env_of, folder_of, listed
from reports.templates import templates_in
from reports.watched import Seen, Watched, place_of
from training.claims import describe
from training.errors import UserError
from training.numbers import duration, short
from training.run.runs import SCORE

REFRESH_S = 5
"""How often the page of a run that goes on is read again."""
MOST_FIGURES = 24
MOST_COMPARED = 12
KEPT = 32
"""So many runs are followed, each row of theirs read once; the one that was asked for longest ago is forgotten."""
STATUSES = ("running", "interrupted", "completed", "failed")
TITLES = {"began": "run", "progress": "progress", "env": "environment"}
NUMBERS = ("seed", "score", "time")
TOGETHER = ("rollout/return_mean", "evaluation/return_mean")
"""Metrics of one figure."""


class NoSuchPage(Exception):  # noqa: N818 - it is an answer
    """There is no run, or no page, of that name."""


class _Compared(NamedTuple):
    name: str
    path: Path
    look: int
    seen: Seen
    seconds: float | None


class Pages:
    """Writes the pages about the runs in a folder; for one thread at a time."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._followed: OrderedDict[str, Watched] = OrderedDict()
        self._templates = templates_in(Path(__file__).parent)
        self._templates.globals |= {"short": short, "duration": duration, "link_of": link_of, "refresh": None}

    def all_runs(self, query: Mapping[str, Sequence[str]]) -> str:
        """The list, of those that the query asks for."""
        sort = _first(query, "sort")
        asked = Asked(
            text=_first(query, "text"),
            status=_first(query, "status"),
            sort=sort if sort in SORTED_BY else "began",
            rising=bool(_first(query, "rising")),
        )
        columns = [
            {
                "title": TITLES.get(one, one),
                "sort": one,
                "number": one in NUMBERS,
                "link": _list_link(replace(asked, sort=one, rising=one == asked.sort and not asked.rising)),
            }
            for one in SORTED_BY
        ]
        rows = listed(self._runs, asked)
        return self._page(
            "runs.html",
            title="Runs",
            asked=asked,
            rows=rows,
            runs=f"{self._runs}/",
            columns=columns,
            statuses=STATUSES,
            here=_list_link(asked),
        )

    def run(self, name: str) -> str:
        """One run, with all of its curves. Raises NoSuchPage."""
        seen = self._look(name)
        figures, more = _figures(seen)
        values = sorted(((key, value) for key, value in seen.latest.items()), key=lambda item: place_of(item[0]))
        return self._page(
            "run.html",
            title=name,
            refresh=REFRESH_S if seen.status == "running" else None,
            seen=seen,
            env=env_of(seen.settings["config"]),
            seconds=_seconds(seen),
            stopped_early=seen.result.get("stopped_early"),
            verdicts=[describe(verdict) for verdict in seen.result.get("claims", ())],
            figures=figures,
            more=more,
            values=values,
            config=[(key, str(value)) for key, value in flattened(seen.settings["config"])],
        )

    def compare(self, query: Mapping[str, Sequence[str]]) -> str:
        """Several runs beside each other.

        Raises NoSuchPage for one that there is not, UserError for none or too many.
        """
        names = list(dict.fromkeys(query.get("run", ())))
        if not 1 <= len(names) <= MOST_COMPARED:
            raise UserError(f"{len(names)} runs are chosen: a comparison takes 1 to {MOST_COMPARED}")
        runs = []
        for index, name in enumerate(names):
            seen = self._look(name)
            runs.append(_Compared(name, self._runs / name, index % LOOKS, seen, _seconds(seen)))
        metrics = sorted({key for run in runs for key in (*run.seen.series, *run.seen.result.get("metrics", ()))})
        metric = _first(query, "metric")
        if metric not in metrics:
            metric = next((key for key in (SCORE, *sorted(metrics, key=place_of)) if key in metrics), SCORE)
        lines = {run.name: run.seen.series[metric].points if metric in run.seen.series else [] for run in runs}
        groups, told = _groups(runs, metric)
        return self._page(
            "compare.html",
            title="Comparison",
            runs=runs,
            metrics=metrics,
            metric=metric,
            figure=Markup(svg(lines, f"{metric} of {len(runs)} runs")),
            groups=groups,
            told=told,
            differs=_differs(runs),
        )

    def _page(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(values)

    def _look(self, name: str) -> Seen:
        """How a run is now."""
        folder = folder_of(name, self._runs)
        if folder is None:
            self._followed.pop(name, None)
            raise NoSuchPage(name)
        try:
            watched = self._followed.pop(name, None) or Watched(folder)
        except UserError:
            raise NoSuchPage(name) from None
        self._followed[name] = watched
        if len(self._followed) > KEPT:
            self._followed.popitem(last=False)
        return watched.look()


def link_of(name: str) -> str:
    """The address of the page of a run."""
    return f"/run/{quote(name)}"


def _list_link(asked: Asked) -> str:
    words = {key: value for key, value in asdict(asked).items() if value}
    return f"/?{urlencode(words | ({'rising': '1'} if asked.rising else {}))}"


def _first(query: Mapping[str, Sequence[str]], key: str) -> str:
    return next(iter(query.get(key, ())), "")


def _seconds(seen: Seen) -> float | None:
    return seen.result.get("wall_time_s") or seen.timing.get("wall_time_s")


def _figures(seen: Seen) -> tuple[list[dict[str, Any]], int]:
    """The curves of a run, and how many are not drawn."""
    together = [name for name in TOGETHER if name in seen.series]
    others = [name for name in sorted(seen.series, key=place_of) if name not in together]
    panels = [*([together] if together else []), *([name] for name in others)]
    figures = []
    for names in panels[:MOST_FIGURES]:
        deviation = seen.series.get("evaluation/return_std") if "evaluation/return_mean" in names else None
        lines = {name: seen.series[name].points for name in names}
        drawn = svg(lines, f"curve of {' and '.join(names)}", dict(deviation.points) if deviation else None)
        if drawn:
            figures.append({"names": names, "svg": Markup(drawn)})
    return figures, max(0, len(panels) - MOST_FIGURES)


def _groups(runs: Sequence[_Compared], metric: str) -> tuple[list[dict[str, Any]], list[str]]:
    """What the seeds of each configuration give together, and what is to be said about it."""
    read = [read_record(run.path) for run in runs]
    out = [one for one in read if isinstance(one, LeftOut)]
    try:
        found = compare(
            group([one for one in read if not isinstance(one, LeftOut)], metric, "final", out), metric=metric
        )
    except UserError as error:
        return [], [str(error)]
    rows = [
        {
            "task": task,
            "name": name,
            "seeds": len(next(iter(summary.scores.values()))),
            "mean": f"{summary.mean.value:.6g}",
            "interval": _interval(summary.mean),
        }
        for task, part in found.tasks.items()
        for name, summary in part.groups.items()
    ]
    return rows, [*(f"left out: {source}: {why}" for source, why in found.left_out), *found.remarks]


def _interval(figure: Any) -> str:
    return f"{figure.low:.6g} to {figure.high:.6g}" if figure.low is not None and figure.low == figure.low else "–"


def _differs(runs: Sequence[_Compared]) -> list[tuple[str, list[str]]]:
    """The options that are not the same in all of the runs, with their values."""
    configs = [dict(flattened(run.seen.settings["config"])) for run in runs]
    return [
        (key, [str(config.get(key, "")) for config in configs])
        for key in _keys(configs)
        if len({str(config.get(key, "")) for config in configs}) > 1
    ]


def _keys(configs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from dict.fromkeys(key for config in configs for key in config)
