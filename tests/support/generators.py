"""Random generators for tests."""

from __future__ import annotations

from torch import Generator


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)
