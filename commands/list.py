"""Show what there is to run."""

from __future__ import annotations

from collections.abc import Sequence

from commands.command_line import print_help, require_nothing, wants_help
from training.experiments import find_experiments, first_line

TAKES = ""


def main(argv: Sequence[str], package: str) -> int:
    """Prints the name of every experiment and what it is, without importing any."""
    if wants_help(argv):
        return print_help("list", main.__doc__)
    require_nothing(argv, "list")
    descriptions = {name: first_line(script) for name, script in find_experiments(package).items()}
    width = max(map(len, descriptions), default=0)
    for name, description in descriptions.items():
        print(f"{name:{width}}  {description}")
    return 0
