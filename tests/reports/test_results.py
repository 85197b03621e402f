"""The table of results: a row for each claim, the final policy beside the best one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reports.results import HEADER, RESULTS, read_results, table, table_of
from training.claims import Claim, judge
from training.run.provenance import source_hash


def report(name: str, claim: Claim, *, env_steps: int = 1000) -> dict[str, Any]:
    figures = {"env_steps": env_steps, "training_time_s": 2.0, "final": {"score": 2.5}}
    baseline = {101: 1.0, 102: 1.0} if claim.baseline else None
    verdict = judge(claim, {101: 3.0, 102: 3.5}, baseline)
    return {"experiment": name, "claims": [verdict], "runs": {name: [figures, figures]}}


REPORTS = [
    report("walk", Claim("score", ">=", 1.0)),
    report("walk_best", Claim("score", ">=", 4.0, at="best")),
    report("from_data", Claim("score", ">=", baseline="walk"), env_steps=0),
]


def test_a_row_says_what_was_claimed_and_measured() -> None:
    rows = table(REPORTS, "*").removeprefix(HEADER).splitlines()
    both = "3.25, 95 % interval 0.0734488 to 6.42655"
    over = "2.25, 95 % interval -0.926551 to 5.42655"
    assert rows == [
        f"| `walk` | score >= 1 | {both} | 2 | yes | 62 % | 1,000 | 500 |",
        f"| `walk_best` | best score >= 4 | {both} (final: 2.5) | 2 | no |  | 1,000 | 500 |",
        f"| `from_data` | score >= walk | {over} | 2 | yes | 62 % | none: from data |  |",
    ]


def test_a_row_of_other_source_is_marked() -> None:
    assert "| yes (stale) |" in table([{**REPORTS[0], "stale": True}], "walk")


def test_seeds_are_counted_where_that_is_claimed_or_nothing_varies() -> None:
    solved = report("solved", Claim("score", ">=", 1.0, of="success", seeds=20))
    solved["claims"] = [judge(Claim("score", ">=", 1.0, of="success", seeds=20), dict.fromkeys(range(101, 121), 3.0))]
    assert "| score >= 1 on 70 % of seeds | 20 of 20 reach it: at least 86 % of all | 20 | yes | 96 % |" in table(
        [solved], "solved"
    )
    same = {**REPORTS[0], "claims": [judge(Claim("score", ">=", 1.0), dict.fromkeys(range(101, 106), 3.0))]}
    assert "| score >= 1 | 3 on each: 5 of 5 reach it | 5 | no |  |" in table([same], "walk")


def test_seeds_that_failed_are_said() -> None:
    failed = judge(Claim("score", ">=", 1.0), {101: 3.0}, failed={102: "it fell"})
    runs = {"walk": [*REPORTS[0]["runs"]["walk"][:1], {"seed": 102, "failed": "it fell", "final": {}, "best": {}}]}
    row = table([{**REPORTS[0], "claims": [failed], "runs": runs}], "walk")
    assert "| score >= 1 | 1 of 2 seeds failed | 2 | no |  | 1,000 | 500 |" in row


def test_results_are_stale_where_their_source_is_another_or_was_not_committed(tmp_path: Path) -> None:
    now = source_hash("walk")
    for name, found, dirty in (("a", now, False), ("b", "another", False), ("c", now, True), ("d", None, None)):
        file = tmp_path / RESULTS / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"experiment": "walk", "source_hash": found, "dirty": dirty}))
    assert [one["stale"] for one in read_results(tmp_path)] == [False, True, True, True]


def test_experiments_are_asked_for_by_pattern_or_by_name() -> None:
    assert table(REPORTS, "walk*") == table_of(REPORTS, ["walk_best", "walk"])
    assert "walk_best" not in table_of(REPORTS, ["walk"])
    assert table(REPORTS, "none") == table_of(REPORTS, []) == ""
