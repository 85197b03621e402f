"""Regenerate the tables, pictures and pages in the docs from docs/results/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from commands.command_line import print_help, require_nothing, wants_help
from reports.tables import write_docs

TAKES = ""


def main(argv: Sequence[str], _: str) -> int:
    """Draws the pictures and writes the tables in README.md and docs/ anew, and names the files that changed."""
    if wants_help(argv):
        return print_help("results", main.__doc__)
    require_nothing(argv, "results")
    for file in write_docs(Path()):
        print(f"wrote {file}")
    return 0
