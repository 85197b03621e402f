"""List the runs that were pushed to a place, with what each reached."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from commands.command_line import first_word, print_help, wants_help
from reports.columns import print_columns
from training.options import parse_options
from training.run.runs import SCORE

TAKES = "SHELF"


@dataclass(frozen=True)
class Options:
    """How it is told."""

    json: bool = False
    """For programs: one JSON object, the manifest of each by where it is."""


def main(argv: Sequence[str], package: str) -> int:  # noqa: ARG001 - the experiments' code is not needed
    """Reads the manifests in a folder, or at an address, and below it; `pull SHELF/WHERE` takes one."""
    if wants_help(argv):
        return print_help("models SHELF", main.__doc__, Options())
    shelf = first_word(argv, "models", "SHELF")
    (options,) = parse_options(argv[1:], Options())
    from serving.sharing import shared_runs

    found = shared_runs(shelf)
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    rows = []
    for where, manifest in found.items():
        metrics = manifest.get("metrics", {})
        name = SCORE if SCORE in metrics else next(iter(metrics), "")
        score = f"{name} {metrics[name]:.6g}" if name else ""
        size = sum(about["bytes"] for about in manifest["files"].values())
        rows.append(
            [where or ".", manifest["experiment"], str(manifest.get("env") or ""), score, f"{size / 1e6:.1f} MB"]
        )
    print_columns(("where", "experiment", "environment", "score", "size"), rows, right=("size",), drop=("size",))
    return 0
