"""A machine of another size."""

from __future__ import annotations

import pytest

from training import machine
from training.machine import Memory


def machine_of(total: int, available: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on this machine has so many bytes of memory, of which so many are free."""
    monkeypatch.setattr(machine, "memory_here", lambda: Memory(total, available))
