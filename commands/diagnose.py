"""Say in plain words what is wrong with a run, by what it is seen, and what to try."""

from __future__ import annotations

from collections.abc import Sequence

from commands.command_line import first_run, print_help, wants_help
from training.errors import UserError

TAKES = "RUN"


def main(argv: Sequence[str], _: str) -> int:
    """Reads the files of a run, or of one that goes on, and prints what is wrong with it; nothing is run."""
    if wants_help(argv):
        return print_help("diagnose RUN", main.__doc__)
    folder = first_run(argv, "diagnose")
    if argv[1:]:
        raise UserError(f"unexpected {argv[1]!r}: diagnose takes a run and nothing else")

    from reports.run_end import finding_lines
    from training.diagnosis.diagnose import diagnose_run

    findings = diagnose_run(folder)
    lines = finding_lines(findings)
    print("\n".join(lines) if lines else "nothing found: none of the symptoms in docs/troubleshooting.md")
    return 0
