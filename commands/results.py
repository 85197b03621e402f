"""Regenerate the tables, pictures and pages in the docs from docs/results/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from commands.command_line import print_help, require_nothing, wants_help
from reports.tables import write_docs
from training.run.console import Console, nobody

TAKES = ""


def main(argv: Sequence[str], _: str) -> int:
    """Draws the pictures and writes the tables in README.md and docs/ anew, and names the files that changed."""
    if wants_help(argv):
        return print_help("results", main.__doc__)
    require_nothing(argv, "results")
    with Console("results") as console:
        written = write_docs(Path(), console.show if console.is_live else nobody)
    for file in written:
        print(f"wrote {file}")
    return 0
