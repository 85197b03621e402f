"""What of this machine a process may use: its memory and its cores, of which a container may allow a part only.

An allocation that does not fit need not fail: most systems promise memory and end the process that then uses it, hours
later. So what a run will hold is computed, and asked for here, before anything is trained.
"""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from training import learners
from training.errors import UserError

GIB = 2**30
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


class Memory(NamedTuple):
    """What this process may use, in bytes."""

    total: int
    """Of the machine, or of the container."""
    available: int
    """Of it, what is not taken now."""


def memory_here() -> Memory:
    """Physical memory, or the limit of the control group (a container, a batch job) where that is smaller."""
    machine = psutil.virtual_memory()
    total, available = int(machine.total), int(machine.available)
    for limit, used in _memory_limits():
        total, available = min(total, limit), min(available, max(0, limit - used))
    return Memory(total, available)


def require_memory(needed: int, what: str, smaller: str) -> None:
    """Says on stderr where something does not fit into what is free now.

    Args:
        needed: bytes.
        what: takes them, such as `replay.capacity = 1000: the replay memory`.
        smaller: what the user can do, such as `a smaller replay.capacity takes less`.

    Raises:
        UserError: it cannot fit into this machine at all.
    """
    has = memory_here()
    # Each learner holds all of it, and several may share this machine.
    learners_here = learners.gathered(platform.node()).count(platform.node())
    takes = f"{what} takes {_gib(needed)}"
    if learners_here > 1:
        takes, needed = f"{takes} in each of {learners_here} learners", learners_here * needed
    if needed > has.total:
        raise UserError(
            f"{takes}, and this machine has {_gib(has.total)}, {_gib(has.available)} of them free; {smaller}"
        )
    if needed > has.available:
        told = f"{takes}, and of the {_gib(has.total)} of this machine {_gib(has.available)} are free now; {smaller}"
        print(f"warning: {told}", file=sys.stderr)


def _gib(nbytes: int) -> str:
    return f"{nbytes / GIB:,.1f} GiB" if nbytes >= GIB / 10 else f"{nbytes / 2**20:,.1f} MiB"


def cores_here() -> int:
    """How many cores this process may use: those it is allowed on, or what its control group may use of them."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for group in _groups("cpu"):
        for read in (_quota_of_version_2, _quota_of_version_1):
            with suppress(OSError, ValueError):
                quota, period = read(group)
                if quota > 0:
                    allowed = min(allowed, math.ceil(quota / period))
    return max(1, allowed)


def _quota_of_version_2(group: Path) -> tuple[int, int]:
    quota, period = (group / "cpu.max").read_text().split()
    return (-1 if quota == "max" else int(quota)), int(period)


def _quota_of_version_1(group: Path) -> tuple[int, int]:
    return int((group / "cpu.cfs_quota_us").read_text()), int((group / "cpu.cfs_period_us").read_text())


def _memory_limits() -> Iterator[tuple[int, int]]:
    """Limit and use of every control group with a limit that this process is in."""
    names = (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    for group in _groups("memory"):
        for limit, usage, cache in names:
            with suppress(OSError, ValueError):
                most, used = int((group / limit).read_text()), int((group / usage).read_text())
                counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
                # The cache of files is given back where memory is needed.
                yield most, max(0, used - int(counts.get(cache, 0)))


def _groups(kind: str) -> Iterator[Path]:
    """The folders of this process's control groups of a kind, of either version, and of all groups above them."""
    try:
        lines = OWN_CGROUPS.read_text(encoding="ascii").splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds and kind not in kinds.split(","):
            continue
        root = CGROUPS / kinds if (CGROUPS / kinds).is_dir() else CGROUPS / kind  # version 2 names no kinds
        inside = root / path.lstrip("/")
        # A container may see its own group as the root.
        yield from (group for group in {inside, *inside.parents, root} if group == root or root in group.parents)
