"""The table of results: a row for each claim, the final policy beside the best one."""

from __future__ import annotations

from typing import Any

from reports.results import HEADER, table, table_of
from training.claims import Claim, judge


def report(name: str, claim: Claim, *, env_steps: int = 1000) -> dict[str, Any]:
    figures = {"env_steps": env_steps, "training_time_s": 2.0, "final": {"score": 2.5}}
    baseline = {1: 1.0, 2: 1.0} if claim.baseline else None
    verdict = judge(claim, {1: 3.0, 2: 3.0}, baseline) if baseline else judge(claim, {1: 3.0, 2: 3.0})
    return {"experiment": name, "claims": [verdict], "runs": {name: [figures, figures]}}


REPORTS = [
    report("walk", Claim("score", ">=", 1.0)),
    report("walk_best", Claim("score", ">=", 4.0, at="best")),
    report("from_data", Claim("score", ">=", baseline="walk"), env_steps=0),
]


def test_a_row_says_what_was_claimed_and_measured() -> None:
    rows = table(REPORTS, "*").removeprefix(HEADER).splitlines()
    assert rows == [
        "| `walk` | score >= 1 | 3 | 3 to 3 | 2 | yes | 1,000 | 500 |",
        "| `walk_best` | best score >= 4 | 3 (final: 2.5) | 3 to 3 | 2 | no | 1,000 | 500 |",
        "| `from_data` | score >= walk | 2 | 2 to 2 | 2 | yes | none: from data |  |",
    ]


def test_experiments_are_asked_for_by_pattern_or_by_name() -> None:
    assert table(REPORTS, "walk*") == table_of(REPORTS, ["walk_best", "walk"])
    assert "walk_best" not in table_of(REPORTS, ["walk"])
    assert table(REPORTS, "none") == table_of(REPORTS, []) == ""
