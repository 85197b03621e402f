"""Look at data before they are learned from: missing, constant, repeated, outliers, wrong labels, leaks, drift."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.command_line import first_word, print_help, wants_help
from training.errors import UserError
from training.experiments import find_experiments, load_experiment
from training.names import nearest
from training.options import parse_options

if TYPE_CHECKING:
    from training.data.quality.finding import DataReport, Finding

TAKES = "NAME"
TABLES = (".csv", ".tsv", ".txt", ".parquet")


@dataclass(frozen=True)
class Options:
    """What is asked."""

    target: str | None = None
    """Of a table: the column that is to be said."""
    seed: int = 1
    json: bool = False
    """Print one JSON object instead of words."""
    out: str | None = None
    """A file for the JSON too."""


def main(argv: Sequence[str], package: str) -> int:
    """Reports on the data of an experiment, a file (CSV, Parquet, .npz), a folder of images or arrays, or a dataset of
    episodes; exit code 1 when something is wrong with them."""
    if wants_help(argv):
        return print_help("data NAME", main.__doc__, Options())
    name = first_word(argv, "data", TAKES)
    (options,) = parse_options(argv[1:], Options())
    report = _report(name, options, package)
    if options.out:
        try:
            Path(options.out).write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise UserError(f"out = {options.out!r}: it cannot be written ({error.strerror})") from None
    print(json.dumps(report.as_json()) if options.json else "\n".join(report.lines()))
    return 1 if report.wrong else 0


def _report(name: str, options: Options, package: str) -> DataReport:
    path, experiments = Path(name), find_experiments(package)
    if name in experiments:
        return _of_experiment(name, options, package)
    if path.exists():
        return _of_path(path, options)
    if "/" not in name:
        raise UserError(f"{name}: no file, no dataset of episodes and no experiment: {nearest(name, experiments)}")
    return _of_episodes(name)


def _of_experiment(name: str, options: Options, package: str) -> DataReport:
    from training.data.quality.report import examine

    experiment = load_experiment(name, package)
    config: Any = replace(experiment.Config(), seed=options.seed)
    if hasattr(experiment, "data"):
        return examine(experiment.data(config), seed=options.seed)
    if isinstance(getattr(config, "dataset", None), str):
        return _of_episodes(config.dataset)
    raise UserError(f"{name} does not say what its data are, which a function `data(config)` does")


def _of_path(path: Path, options: Options) -> DataReport:
    from training.data import sources, tables
    from training.data.quality.finding import DataReport
    from training.data.quality.report import examine

    if path.suffix.lower() in TABLES or any(path.glob("*.parquet")):
        if options.target is None:
            raise UserError(f"target = None: the table {path} takes the name of the column that is to be said")
        types = list(_types(path))
        if any(finding.where == options.target for finding in types):
            return DataReport(str(path), "only the types of its columns, as the target holds numbers and words", types)
        found = examine(tables.table(path, target=options.target), seed=options.seed)
        return DataReport(found.source, found.looked_at, [*types, *found.findings])
    if path.suffix == ".npz" or any(path.glob("*.npy")):
        return examine(sources.numpy_dataset(path), seed=options.seed)
    if any(path.glob("main_data*")) or (path / "data").is_dir():
        return _of_episodes(str(path))
    return examine(sources.image_folder(path), seed=options.seed)


def _of_episodes(name: str) -> DataReport:
    from envs.episodes.datasets import read_dataset
    from envs.episodes.quality import examine_episodes

    return examine_episodes(read_dataset(name), name)


def _types(path: Path) -> Iterator[Finding]:
    from training.data.quality.columns import mixed_types

    if path.suffix.lower() != ".parquet" and path.is_file():
        yield from mixed_types(path)
