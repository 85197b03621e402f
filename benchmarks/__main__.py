"""The command line: `python -m benchmarks [NAME ...] --pairs 5`; `race` is all whose names begin with it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from benchmarks.comparison.pairs import FailedRunError, report, run_pair
from benchmarks.comparison.workloads import WORKLOADS, Workload
from reports.benchmarks import RESULTS, describe
from training.errors import UserError, require
from training.names import nearest
from training.option_help import show_help
from training.options import parse_options
from training.run.files import read_json, write_json
from training.run.provenance import ROOT, describe_environment, hash_of

PACKAGES = ("training", "envs", "pretraining", "agents", "finetuning", "regimes", "experiments", "benchmarks")


@dataclass(frozen=True)
class Options:
    """How the workloads are measured; without a name all of them are."""

    pairs: int = 5
    """How often ours and the peer run in turn. Pair i has the seed i."""
    again: bool = False
    """Measures also what has been measured with the same source and no fewer pairs."""
    results: str = str(RESULTS)
    """Where a file for each workload is written, as soon as it is measured."""

    def __post_init__(self) -> None:
        require(self.pairs >= 1, "pairs", self.pairs, "at least 1")


def main(argv: Sequence[str], workloads: Sequence[Workload] = WORKLOADS) -> int:
    """Measures the named workloads.

    Returns:
        The exit code: 0 every floor holds, 1 one does not or a run failed, 2 a mistake in what was asked.
    """
    if "--help" in argv or "-h" in argv:
        known = ", ".join(workload.name for workload in workloads)
        show_help("python -m benchmarks [NAME ...]", f"Measures how fast the platform is. NAME: {known}", Options())
        return 0
    try:
        names = list(takewhile(lambda word: not word.startswith("-"), argv))
        (options,) = parse_options(argv[len(names) :], Options())
        chosen = [workload for name in names for workload in _find(name, workloads)] or list(workloads)
        for workload in chosen:
            for program in workload.programs:
                program.require()
        folder = Path(options.results)
        folder.mkdir(parents=True, exist_ok=True)
    except UserError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    source = hash_of([file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))])
    environment = describe_environment()  # before results are written, which are no change of the source
    held = [_measure(workload, options, folder / f"{workload.name}.json", source, environment) for workload in chosen]
    return 0 if all(held) else 1


def _measure(workload: Workload, options: Options, file: Path, source: str, environment: Mapping[str, Any]) -> bool:
    """Measures one workload and writes its file, unless that has been done; returns whether its floor holds."""
    before = read_json(file)
    same = before.get("source_hash") == source and len(before.get("pairs", [])) >= options.pairs
    if same and not options.again:
        print(f"{describe(before)}; measured before, --again measures it anew")
        return bool(before["holds"])
    unfinished = file.with_suffix(".begun")
    begun = read_json(unfinished)
    goes_on = begun.get("source_hash") == source and not options.again
    pairs: list[dict[str, Any]] = begun["pairs"] if goes_on else []
    for seed in range(len(pairs) + 1, options.pairs + 1):
        try:
            pairs.append(run_pair(workload, seed))
        except FailedRunError as error:
            print(f"{workload.name}, pair {seed}: {error}", file=sys.stderr)
            return False
        write_json(unfinished, {"source_hash": source, "pairs": pairs})
        print(f"{workload.name}, pair {seed} of {options.pairs}: {_outcome(pairs[-1])}", file=sys.stderr, flush=True)
    measured = report(workload, pairs, source_hash=source, environment=environment)
    write_json(file, measured)
    unfinished.unlink(missing_ok=True)
    print(describe(measured), flush=True)
    return bool(measured["holds"])


def _outcome(pair: Mapping[str, Any]) -> str:
    if pair["failed"]:
        return f"does not count: {pair['failed']}"
    return f"{'at least ' if pair['at_least'] else ''}{pair['ratio']:.2f}"


def _find(name: str, workloads: Sequence[Workload]) -> list[Workload]:
    """The workload of this name, or all whose names begin with it and an underscore."""
    known = {workload.name: workload for workload in workloads}
    found = [workload for known_name, workload in known.items() if known_name.startswith(f"{name}_")]
    if name not in known and not found:
        raise UserError(f"unknown workload {name}: {nearest(name, known)}")
    return [known[name]] if name in known else found


if __name__ == "__main__":
    # Termination ends the block that runs a child, which then ends the child too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
