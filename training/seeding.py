"""Independent random streams, one for each use, all derived from the run's seed and a path of names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.random import fork_rng

CPU = torch.device("cpu")


def derived_seed(seed: int, *path: str | int) -> int:
    """A seed of 63 bits for one use, for example `derived_seed(1, "acting", 0)`."""
    digest = hashlib.sha256(json.dumps([seed, *path]).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(seed: int, *path: str | int) -> torch.Generator:
    """A generator on the CPU for one use. Noise is drawn there on every device, so that devices see the same noise."""
    return torch.Generator().manual_seed(derived_seed(seed, *path))


@contextmanager
def drawing_from(seed: int, device: torch.device = CPU) -> Iterator[None]:
    """What other code draws on the device follows from the seed; the generators of a training are then as they were.

    `torch.manual_seed` would seed those of every GPU.
    """
    on_gpu = device.type == "cuda"
    with fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.manual_seed(seed)
        yield
