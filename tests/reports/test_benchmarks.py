"""The benchmarks as a table and as words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reports import benchmarks

SIDE = {"figure": 41.0, "peak_memory_bytes": 2**28}


def report(name: str, **values: Any) -> dict[str, Any]:
    shared = {"title": "Counting", "peer": "slow", "figure": "per_second", "floor": 2.0, "aim": 3.0, "holds": True}
    counted = {"pairs_counted": 3, "pairs_failed": 0, "ratio": {"median": 4.1, "min": 4.0, "max": 4.2}}
    return {"benchmark": name, **shared, **counted, "ours": SIDE, "theirs": {**SIDE, "figure": 10.0}, **values}


REPORTS = [
    report("one"),
    report("two", figure="seconds", floor=None, aim=None, ratio={"median": 0.244, "min": 0.238, "max": 0.25}),
    report("three", holds=False, pairs_failed=1),
    report("none", ratio=None, ours=None, theirs=None, pairs_counted=0, pairs_failed=3),
]


def test_a_row_has_the_ratio_and_both_sides() -> None:
    assert benchmarks.table(REPORTS, "*").removeprefix(benchmarks.HEADER).splitlines() == [
        "| Counting | slow | 4.1 | 4 to 4.2 | 2 | 3 | 41/s | 10/s | 256 MiB / 256 MiB | 3 |",
        "| Counting | slow | 0.244 | 0.238 to 0.25 | - | - | 41.0 s | 10.0 s | 256 MiB / 256 MiB | 3 |",
        "| Counting | slow | 4.1 | 4 to 4.2 | 2 | 3 | 41/s | 10/s | 256 MiB / 256 MiB | 3, 1 failed |",
        "| Counting | slow | - | - | - | - | - | - | - | 0, 3 failed |",
    ]
    assert benchmarks.table(REPORTS, "four") == ""


def test_a_benchmark_is_one_line() -> None:
    assert [benchmarks.describe(one) for one in REPORTS] == [
        "one: 4.1 times slow (4 to 4.2; floor 2, holds; 3 pairs)",
        "two: 0.244 times slow (0.238 to 0.25; no floor; 3 pairs)",
        "three: 4.1 times slow (4 to 4.2; floor 2, does not hold; 3 pairs, 1 failed)",
        "none: no pair counts, each failed",
    ]


def test_reports_are_read_in_the_order_of_their_files(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.json").write_text(json.dumps(report(name)))
    assert [one["benchmark"] for one in benchmarks.read_reports(tmp_path)] == ["a", "b"]
