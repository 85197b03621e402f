"""The command `regimen`, as pip installs it: the same as `python -m experiments`, from any folder."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from commands.command_line import main


def run() -> int:
    """Carries out one command. What is in the working directory can be imported, after everything else."""
    own = Path("experiments").absolute()
    clone = Path(__file__).parents[1] / "experiments"
    if (own / "__init__.py").exists() and not own.samefile(clone):
        print(
            f"error: {own / '__init__.py'} hides regimen's own experiments: remove it, it is not needed",
            file=sys.stderr,
        )
        return 2
    sys.path.append(str(Path.cwd()))
    import_module("experiments")  # first, as it sets the threads of NumPy and torch before they are imported
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
