"""What a run uses of processors and memory: its process, all that it started, and its workers on other machines.

Each process is counted once: one that lives by its own CPU time, one that has ended by that of the parent that waited
for it. Ray's workers on this machine are descendants; those elsewhere report what they use.
"""

from __future__ import annotations

import os
import platform
import resource
import time
from contextlib import suppress
from typing import NamedTuple

import psutil


class Usage(NamedTuple):
    """What processes have used so far."""

    cpu_s: float
    """Seconds of busy cores, in user mode and in the kernel."""
    resident_bytes: int
    """Memory that they hold now."""


class Spent(NamedTuple):
    """What one process used, as it reports it itself from wherever it runs."""

    host: str
    pid: int
    usage: Usage


_reported: dict[tuple[str, int], Usage] = {}


def spent_here() -> Spent:
    """What this process has used, to be reported to the one that leads the run."""
    return Spent(platform.node(), os.getpid(), _own())


def report(spent: Spent) -> None:
    """Takes what a worker used; the newest report of each counts."""
    _reported[spent.host, spent.pid] = spent.usage


def usage_now() -> Usage:
    """Of this process, its descendants, and the workers that reported from elsewhere."""
    own = _own()
    cpu_s, resident = own.cpu_s, own.resident_bytes
    here = {os.getpid()}
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it ends meanwhile
            times, memory = child.cpu_times(), child.memory_info()
            waited_s = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            cpu_s += times.user + times.system + waited_s
            # A fork shares pages with its parent, which holds them already.
            resident += max(0, memory.rss - getattr(memory, "shared", 0))
            here.add(child.pid)
    for (host, pid), usage in _reported.items():
        if host != platform.node() or pid not in here:
            cpu_s, resident = cpu_s + usage.cpu_s, resident + usage.resident_bytes
    return Usage(cpu_s, resident)


def _own() -> Usage:
    waited = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Usage(time.process_time() + waited.ru_utime + waited.ru_stime, psutil.Process().memory_info().rss)
