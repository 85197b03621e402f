"""What `verify` writes to docs/results/, and the docs that are generated from it: no figure is typed by hand.

A Markdown file asks for a table by a pair of comments, and gets the experiments whose names match the pattern:

    <!-- results:ppo_* -->
    <!-- /results -->

`benchmarks:` and `/benchmarks` ask for a table of benchmarks, `algorithms:*` and `/algorithms` for a list of all
algorithms, `symptoms:*` and `/symptoms` for a section for each symptom of a diagnosis, `names:*` and `/names`
for the names that options have elsewhere. The pages in docs/algorithms/ are made as a whole.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from reports import benchmarks, pages, troubleshooting
from reports.plots import draw_learning_curves, draw_race, draw_ratios
from reports.results import RESULTS, read_results, table
from training import familiar
from training.claims import Verdict, claim_of, describe
from training.errors import UserError
from training.run.console import Show, nobody
from training.run.logger import read_rows
from training.run.provenance import describe_environment, hardware, hash_of, sources, uncommitted

CURVES = RESULTS / "learning_curves.svg"
CHOSEN_CURVES = RESULTS / "chosen_curves.svg"
IN_README = (
    "ppo_cartpole",
    "rainbow_cartpole",
    "sac_pendulum",
    "her_reach",
    "ppo_lunar_lander",
    "ppo_half_cheetah",
)
"""The experiments in the README's picture."""
READING = 0.4
"""Of the time that writing the docs takes; drawing takes the rest."""
CURVE = "rollout/return_mean"
CURVE_POINTS = 60
MARKERS = re.compile(r"(<!-- (results|benchmarks|algorithms|symptoms|names):(\S+) -->\n).*?(<!-- /\2 -->)", re.DOTALL)


def summary(
    name: str,
    command: str,
    verdicts: Sequence[Verdict],
    results: Mapping[str, Mapping[int, Mapping[str, Any]]],
    config: Mapping[str, Any],
) -> dict[str, Any]:
    """What `verify` writes: the verdicts and the figures they rest on.

    Args:
        name: the experiment.
        command: what gives the same again.
        verdicts: one for each claim.
        results: the `result.json` of every seed, of the experiment and of its baselines, with its `learning_curve`; of
            one that failed its `seed` and why it `failed`.
        config: the experiment's, as a tree.
    """
    environment, files = describe_environment(), sources(name, config)
    return {
        "experiment": name,
        "command": command,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "holds": all(verdict["holds"] for verdict in verdicts),
        "claims": list(verdicts),
        "runs": {group: [figures_of(result) for result in seeds.values()] for group, seeds in results.items()},
        "commit": environment["commit"],
        "dirty": uncommitted(files),
        "source_hash": hash_of(files),
        "hardware": hardware(environment),
        "python": environment["python"],
        "packages": environment["packages"],
    }


def print_report(report: Mapping[str, Any]) -> None:
    """Prints the claimed metrics of every seed, and the verdicts."""
    from rich.console import Console
    from rich.table import Table

    claims = [claim_of(verdict) for verdict in report["claims"]]
    columns = list(dict.fromkeys((claim.at, claim.metric) for claim in claims))
    table = Table()
    for name in ["experiment", "seed", *(f"{at} {metric}" for at, metric in columns), "env steps", "minutes", "exact"]:
        table.add_column(name, overflow="fold")
    for group, seeds in report["runs"].items():
        for figures in seeds:
            measured = [f"{figures[at][metric]:.6g}" if metric in figures[at] else "-" for at, metric in columns]
            if "failed" in figures:
                table.add_row(group, str(figures["seed"]), *measured, "failed", "-", "-")
                continue
            minutes = f"{figures['training_time_s'] / 60:.1f}"
            exact = "yes" if figures["exact"] else "no"
            table.add_row(group, str(figures["seed"]), *measured, f"{figures['env_steps']:,}", minutes, exact)
    Console().print(table)
    for verdict in report["claims"]:
        print(f"claim: {describe(verdict)}")


def write_docs(root: Path, show: Show = nobody) -> list[Path]:
    """Draws the pictures and writes the tables and pages in README.md and docs/ anew; returns the files that changed.

    `show` is told how far it is.

    Raises:
        UserError: a table asks for experiments or benchmarks of which there are no results.
    """
    reports = read_results(root, lambda read: show("reading results", READING * read))
    measured = benchmarks.read_reports(root / benchmarks.RESULTS)
    changed = _draw(root, reports, measured, show)
    tables: dict[str, Callable[[str], str]] = {
        "results": partial(table, reports),
        "benchmarks": partial(benchmarks.table, measured),
        "algorithms": lambda _: pages.short_list(root),
        "symptoms": lambda _: troubleshooting.sections(),
        "names": lambda _: names_elsewhere(),
    }
    texts = pages.pages(root, reports)
    gone = [file for file in (root / pages.FOLDER).glob("*.md") if file.relative_to(root) not in texts]
    for file in gone:
        file.unlink()
    for file in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        if file.exists() and file.parent != root / pages.FOLDER:
            text = file.read_text(encoding="utf-8")
            texts[file.relative_to(root)] = MARKERS.sub(partial(_replaced, tables=tables, file=file), text)
    for path, text in texts.items():
        changed += _written(root / path, text)
    return [*changed, *gone]


def names_elsewhere() -> str:
    """A table of the options that have other names in other libraries, and of what has no option of its meaning."""
    same: dict[tuple[str, ...], list[str]] = {}
    for name, options in familiar.MEANT.items():
        same.setdefault(options, []).append(name)
    rows = [
        f"| {', '.join(f'`{name}`' for name in names)} | {' or '.join(f'`{option}`' for option in options)} |"
        for options, names in same.items()
    ]
    rows += [f"| `{flag}` | `{option} {value}` |" for flag, (option, value) in familiar.FLAGS.items()]
    for name, answer in familiar.OTHERWISE.items():
        if name not in familiar.FLAGS:
            where = ", where there is no such coefficient" if name in familiar.MEANT else ""
            rows.append(f"| `{name}`{where} | {answer} |")
    return "\n".join(["| there | here |", "|---|---|", *rows, ""])


def _draw(
    root: Path, reports: Sequence[Mapping[str, Any]], measured: Sequence[Mapping[str, Any]], show: Show
) -> list[Path]:
    """Draws the pictures of which there are results; returns those that changed."""
    with_curve = [report for report in reports if any(run["curve"] for run in report["runs"][report["experiment"]])]
    chosen = [report for name in IN_README for report in with_curve if report["experiment"] == name]
    raced = benchmarks.matching(measured, benchmarks.RACE)
    changed, drawn, to_draw = [], 0, len(with_curve) + len(chosen) + len(measured)
    for path, draw, shown in (
        (CURVES, draw_learning_curves, with_curve),
        (CHOSEN_CURVES, draw_learning_curves, chosen),
        (benchmarks.PICTURE, draw_ratios, [report for report in measured if report not in raced]),
        (benchmarks.RACE_PICTURE, draw_race, raced),
    ):
        file = root / path
        before = file.read_bytes() if file.exists() else None
        if shown:
            draw(shown, file)
            changed += [file] if file.read_bytes() != before else []
        drawn += len(shown)
        show("drawing", READING + (1 - READING) * drawn / max(1, to_draw))
    return changed


def _written(file: Path, text: str) -> list[Path]:
    """Writes the file where it is not so yet; returns it where it was written."""
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return []
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return [file]


def learning_curve(folder: Path) -> list[tuple[int, float]]:
    """The training return of a run as (env_steps, return), thinned out; nothing where it has none, as with stages."""
    if not (folder / "metrics.jsonl").exists():
        return []
    points = [(int(row["env_steps"]), row[CURVE]) for row in read_rows(folder / "metrics.jsonl") if CURVE in row]
    every = -(-len(points) // CURVE_POINTS)
    return [(env_steps, float(f"{value:.6g}")) for env_steps, value in points[::-1][:: max(1, every)][::-1]]


def _replaced(markers: re.Match[str], *, tables: Mapping[str, Callable[[str], str]], file: Path) -> str:
    begin, kind, pattern, end = markers.groups()
    rows = tables[kind](pattern)
    if not rows and kind != "algorithms":
        command = {"results": "verify", "benchmarks": "make bench"}[kind]
        raise UserError(f"{kind}:{pattern} in {file} matches nothing in {RESULTS}: run `{command}` first")
    return begin + rows + end


def _finite(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Without the numbers that JSON lacks; a claim about one of them has failed."""
    return {name: value for name, value in measured.items() if not isinstance(value, float) or math.isfinite(value)}


def figures_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a report keeps of a seed, out of its `result.json` with its `learning_curve`, or of why it `failed`."""
    if "failed" in result:
        return {**result, "final": {}, "best": {}, "curve": []}
    return {
        "seed": result["seed"],
        "final": _finite(result["metrics"]),
        "best": _finite(result["best"]),
        "env_steps": result["counters"]["env_steps"],
        "training_time_s": result["training_time_s"],
        "exact": result["exact"],
        "curve": result["curve"],
    }
