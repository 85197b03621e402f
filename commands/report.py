"""Write one HTML page about runs: what came of them, how sure, what went wrong, how to run them again: --open."""

from __future__ import annotations

import re
import webbrowser
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from commands.command_line import print_help, wants_help
from commands.compare import HowCompared, compared_by, read, split
from commands.shared.again import again_of
from commands.shared.learned import held_out, samples
from reports.comparison.records import LeftOut, Record
from reports.comparison.runs import is_run
from reports.html.asked import Asked
from reports.html.facts import Facts, read_facts
from reports.html.page import write_page
from training.claims import claim_of
from training.errors import UserError, require
from training.options import parse_options
from training.run.runs import RUNS, SCORE

TAKES = "RUN..."
AUTO = "auto"
LONGEST_NAME = 80
"""Of a file that is named after what is on it."""
T = TypeVar("T")


@dataclass(frozen=True)
class Options(HowCompared):
    """What is on the page, and where it is written."""

    metric: str = AUTO
    """What the runs are compared by; auto: their evaluation's return, otherwise what their first claim is about."""
    out: str | None = None
    """The file; by default report.html in the folder of a run, and of several runs/reports/<their names>.html."""
    open: bool = False
    """Also open it in the browser."""

    def __post_init__(self) -> None:
        if self.out is not None:
            require(Path(self.out).suffix in (".html", ".htm"), "out", self.out, "a name that ends with .html")
            require(Path(self.out).parent.is_dir(), "out", self.out, "a file in a folder that is there")


def main(argv: Sequence[str], package: str) -> int:
    """Writes a page about a run, or about several that are compared, which needs no network and no other file.

    The arguments are those of `compare`; runs that are not finished are shown too.
    """
    if wants_help(argv):
        return print_help("report RUN...", main.__doc__, Options())
    words, rest = split(argv, "report")
    (options,) = parse_options(rest, Options())
    records, out = read(words, package)
    runs, damaged = _facts([*(one.source for one in records if not one.foreign), *(one.source for one in out)])
    if not runs and not records:
        raise UserError("; ".join(f"{one.source}: {one.why}" for one in [*damaged, *out][:3]))
    asked = _asked(words, options, runs, records, [*damaged, *(one for one in out if not _is_among(one, damaged))])
    path = write_page(_with_more(asked, package), _path(options.out, asked))
    print(f"wrote {path}")
    if options.open and not webbrowser.open(path.resolve().as_uri()):
        raise UserError(f"open = True: no browser was found; the page is {path}")
    return 0


def _facts(sources: Sequence[str]) -> tuple[list[Facts], list[LeftOut]]:
    """What is known of each run, finished or not, and which of them cannot be read."""
    runs, damaged = [], []
    for folder in filter(is_run, map(Path, sources)):
        try:
            runs.append(read_facts(folder))
        except UserError as error:
            damaged.append(LeftOut(str(folder), str(error)))
    return runs, damaged


def _is_among(one: LeftOut, others: Sequence[LeftOut]) -> bool:
    return any(one.source == other.source for other in others)


def _asked(
    words: Sequence[str], options: Options, runs: Sequence[Facts], records: Sequence[Record], out: Sequence[LeftOut]
) -> Asked:
    """The runs and how they compare; where they cannot be compared, each for itself, and why."""
    metric, lower = _metric(runs) if options.metric == AUTO else (options.metric, options.lower_is_better)
    how = replace(options, lower_is_better=lower or options.lower_is_better)
    try:
        grouped, comparison = compared_by(metric, how, records, out)
    except UserError as error:
        if options.metric != AUTO:
            raise
        return Asked(words, metric, runs, out, why_not=str(error))
    return Asked(words, metric, runs, grouped.left_out, grouped, comparison)


def _metric(runs: Sequence[Facts]) -> tuple[str, bool]:
    """What stands for most of the runs, and whether their claims say that lower is better."""
    names = Counter(facts.state.score_name for facts in runs if facts.state.score_name is not None)
    metric = names.most_common(1)[0][0] if names else SCORE
    claims = [claim_of(verdict) for facts in runs for verdict in facts.result.get("claims", ())]
    return metric, any(claim.metric == metric and claim.op == "<=" for claim in claims)


def _with_more(asked: Asked, package: str) -> Asked:
    """With what only the runs' experiments and models can tell."""
    again = {facts.folder: again_of(facts.folder, package) for facts in asked.runs}
    one = asked.one
    if one is None:
        return replace(asked, again=again)
    return replace(
        asked,
        again=again,
        held_out=_or_why_not(held_out, one.folder, package),
        samples=_or_why_not(samples, one.folder, package),
    )


def _or_why_not(found: Callable[[Path, str], T], folder: Path, package: str) -> T | str:
    """What is found of a run, or why it is not."""
    try:
        return found(folder, package)
    except UserError as error:
        return f"It is not known: {error}"


def _path(out: str | None, asked: Asked) -> Path:
    """Where the page is written."""
    if out is not None:
        return Path(out)
    if (one := asked.one) is not None:
        return one.folder / "report.html"
    name = re.sub(r"[^\w.,=-]+", "_", ",".join(asked.words)).strip("_.")[:LONGEST_NAME]
    return RUNS / "reports" / f"{name or 'report'}.html"
