"""What several tests use: environments, recordings, packages of experiments."""

import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository."""


def wait_for(condition: Callable[[], bool], limit_s: float = 120.0) -> None:
    """Until it is so."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
