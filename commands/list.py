"""Show what there is to run."""

from __future__ import annotations

from collections.abc import Sequence

from commands.command_line import print_help, require_nothing, wants_help
from training.experiments import find_experiments, find_scripts, first_line

TAKES = ""


def main(argv: Sequence[str], package: str) -> int:
    """Prints the name of every experiment and algorithm and what it is, without importing any."""
    if wants_help(argv):
        return print_help("list", main.__doc__)
    require_nothing(argv, "list")
    experiments, algorithms = find_experiments(package), find_scripts(package, "PRESETS")
    width = max(map(len, experiments), default=0)
    for name in (name for name in experiments if name not in algorithms):
        print(f"{name:{width}}  {first_line(experiments[name])}")
    if algorithms:
        print("\nAlgorithms, on any environment: train NAME --env.id MyEnv-v0\n")
    for name, script in algorithms.items():
        print(f"{name:{width}}  {first_line(script)}")
    return 0
