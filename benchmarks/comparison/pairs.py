"""Running the pairs of a workload, and what is made of them: the ratio, and what it rests on."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.comparison.measurement import Measurement
from benchmarks.comparison.programs import Program
from benchmarks.comparison.workloads import Workload
from training.run.provenance import hardware

RECORDED_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables of the environment that change how fast arithmetic is."""
LAST_LINES = 15


@dataclass(frozen=True)
class Process:
    """How one process ran."""

    command: list[str]
    started_at: float
    """In seconds since 1970."""
    process_seconds: float
    """From its start to its end: imports, start-up and final evaluation too."""
    peak_memory_bytes: int
    load_average: float
    """Of the minute before it started."""


class FailedRunError(Exception):
    """A process of a pair ended with an error; the message ends with the last lines that it wrote."""


def run_pair(workload: Workload, seed: int) -> dict[str, Any]:
    """One run of each program with this seed, in a folder that is gone afterwards; what both sides measured.

    Raises FailedRunError.
    """
    sides: dict[str, Any] = {}
    for position, program in enumerate(workload.programs):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
            folder = Path(name)
            process = run_process(program, folder, seed)
            for side, measured in program.read(folder).items():
                sides[side] = {
                    "figure": figure(workload, measured, process),
                    "position": position,
                    **asdict(measured),
                    "warm_up_seconds": measured.warm_up_seconds,
                    **asdict(process),
                }
    return judged(workload, seed, sides)


def run_process(program: Program, folder: Path, seed: int) -> Process:
    """Runs a program to its end; it dies with this process's Ctrl-C. Raises FailedRunError."""
    command = program.command(folder, seed)
    environment = {**os.environ, "OMP_NUM_THREADS": str(program.threads)}
    load_average, log = os.getloadavg()[0], folder / "output.log"
    with log.open("wb") as output:
        started_at = time.time()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
        try:
            # Not Popen.wait: only this tells the memory of this child and no other.
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.send_signal(signal.SIGTERM)
            child.wait()
            raise
    child.returncode = code = os.waitstatus_to_exitcode(status)
    if code != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
        raise FailedRunError("\n    ".join([f"{shlex.join(command)} ended with {code}:", *lines]))
    peak = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024  # Linux counts in KiB
    # What anyone can run, without the paths of this machine.
    shown = [word.replace(sys.executable, "python").replace(str(folder), "FOLDER") for word in command]
    return Process(shown, started_at, time.time() - started_at, peak, load_average)


def figure(workload: Workload, measured: Measurement, process: Process) -> float:
    """What is compared of one side."""
    if workload.figure == "seconds_from_process_start":
        return measured.began_at + measured.seconds - process.started_at
    return float(getattr(measured, workload.figure))


def judged(workload: Workload, seed: int, sides: Mapping[str, Any]) -> dict[str, Any]:
    """The pair with its ratio; `failed` says why it does not count, if so.

    `at_least` says that the peer did not get there in the time that it counts with.
    """
    ours, peer = sides["ours"]["figure"], sides["peer"]["figure"]
    ratio = ours / peer if workload.figure.startswith("per_second") else peer / ours
    least = workload.least_return
    poor = {
        side: f"the return of {side} is {measured['final_return']:g}, less than {least:g}"
        for side, measured in sides.items()
        if least is not None and not measured["final_return"] >= least  # nan is less too
    }
    at_least = workload.peer_may_fail and poor.pop("peer", None) is not None
    return {"seed": seed, "ratio": ratio, "at_least": at_least, "failed": "; ".join(poor.values()) or None, **sides}


def report(
    workload: Workload, pairs: Sequence[Mapping[str, Any]], *, source_hash: str, environment: Mapping[str, Any]
) -> dict[str, Any]:
    """What is written to docs/results/benchmarks/: the ratio over the pairs that count, and all of the pairs.

    `source_hash` and `environment` (see `training.run.provenance`) tell what was measured.
    """
    counted = [pair for pair in pairs if pair["failed"] is None]
    ratios = [pair["ratio"] for pair in counted]
    ratio = {"median": median(ratios), "min": min(ratios), "max": max(ratios)} if ratios else None
    return {
        "benchmark": workload.name,
        "title": workload.title,
        "peer": workload.peer,
        "figure": workload.figure,
        "floor": workload.floor,
        "aim": workload.aim,
        "least_return": workload.least_return,
        "ratio": ratio,
        "ours": _medians(counted, "ours"),
        "theirs": _medians(counted, "peer"),
        "holds": holds(workload.floor, ratio, failed=len(pairs) - len(counted)),
        "pairs_counted": len(counted),
        "pairs_failed": len(pairs) - len(counted),
        "peer_failed": sum(pair["at_least"] for pair in counted),
        "command": f"python -m benchmarks {workload.name} --pairs {len(pairs)}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": environment["commit"],
        "dirty": environment["dirty"],
        "source_hash": source_hash,
        "hardware": hardware(environment),
        "python": environment["python"],
        "packages": environment["packages"],
        "variables": {name: os.environ[name] for name in RECORDED_VARIABLES if name in os.environ},
        "pairs": list(pairs),
    }


def holds(floor: float | None, ratio: Mapping[str, float] | None, *, failed: int) -> bool:
    """Every pair learned, and the median is at the floor where there is one."""
    return ratio is not None and not failed and (floor is None or ratio["median"] >= floor)


def _medians(pairs: Sequence[Mapping[str, Any]], side: str) -> dict[str, float]:
    names = ("figure", "warm_up_seconds", "peak_memory_bytes", "load_average", "final_return")
    values = {name: [pair[side][name] for pair in pairs if pair[side][name] is not None] for name in names}
    return {name: median(of_pairs) for name, of_pairs in values.items() if of_pairs}
