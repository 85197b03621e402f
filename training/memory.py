"""How much memory this machine has, and whether what a run will hold fits into it: asked before anything is trained.

An allocation that does not fit need not fail: most systems promise memory and end the process that then uses it, hours
later. So sizes are computed beforehand.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import psutil

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
    for limit, used in _limits():
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
    takes = f"{what} takes {_gib(needed)}"
    if needed > has.total:
        raise UserError(
            f"{takes}, and this machine has {_gib(has.total)}, {_gib(has.available)} of them free; {smaller}"
        )
    if needed > has.available:
        told = f"{takes}, and of the {_gib(has.total)} of this machine {_gib(has.available)} are free now; {smaller}"
        print(f"warning: {told}", file=sys.stderr)


def _gib(nbytes: int) -> str:
    return f"{nbytes / GIB:,.1f} GiB" if nbytes >= GIB / 10 else f"{nbytes / 2**20:,.1f} MiB"


def _limits() -> list[tuple[int, int]]:
    """Limit and use of every control group with a limit that this process is in."""
    found = []
    try:
        lines = OWN_CGROUPS.read_text(encoding="ascii").splitlines()
    except OSError:  # no Linux
        return []
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds == "":  # version 2
            root, names = CGROUPS, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in kinds.split(","):
            root, names = CGROUPS / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inside = root / path.lstrip("/")
        # A container may see its own group as the root. A limit on any group above holds too.
        for group in {inside, *inside.parents, root}:
            if group == root or root in group.parents:
                found += _limit(group, *names)
    return found


def _limit(group: Path, limit: str, usage: str, cache: str) -> list[tuple[int, int]]:
    try:
        most, used = (group / limit).read_text().strip(), int((group / usage).read_text())
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return []
    # The cache of files is given back where memory is needed.
    return [] if most == "max" else [(int(most), max(0, used - int(statistics.get(cache, 0))))]
