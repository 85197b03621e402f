"""What a run's processes use: each is counted once, alive or not."""

from __future__ import annotations

import subprocess
import sys
import time

from training.energy import processes
from training.energy.processes import Spent, Usage, report, spent_here, usage_now

BURN = "import time\nwhile time.process_time() < 0.4: pass\n"


def burn(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_own_seconds_and_memory_are_counted() -> None:
    before = usage_now()
    burn(0.2)
    held = bytearray(64 * 2**20)
    after = usage_now()
    assert 0.2 <= after.cpu_s - before.cpu_s < 3.0
    assert after.resident_bytes - before.resident_bytes > 40 * 2**20, len(held)


def test_a_child_is_counted_once_while_it_lives_and_after_it() -> None:
    before = usage_now().cpu_s
    with subprocess.Popen(
        [sys.executable, "-c", BURN + "print(flush=True); import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        alive = usage_now().cpu_s - before
        child.stdin.close()
    ended = usage_now().cpu_s - before
    assert 0.38 <= alive < 3.0, "the kernel counts in hundredths"
    assert alive - 0.03 <= ended < alive + 0.39, "counted as a child that lives and as one that was waited for"


def test_a_worker_elsewhere_counts_by_its_newest_report_and_one_here_not_twice() -> None:
    before = usage_now().cpu_s
    try:
        report(Spent("another machine", 7, Usage(100.0, 0)))
        report(Spent("another machine", 7, Usage(120.0, 0)))
        report(spent_here())
        assert 120.0 <= usage_now().cpu_s - before < 121.0
    finally:
        processes._reported.clear()
