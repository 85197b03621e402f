"""What the user typed to start this program."""

from __future__ import annotations

import sys
from pathlib import Path


def program() -> str:
    """`regimen` where it is installed, otherwise the package of the clone."""
    return "regimen" if Path(sys.argv[0]).name == "regimen" else "python -m experiments"
