"""Which seed confirms a verdict, and what it must agree in."""

from __future__ import annotations

from typing import Any

import pytest

from reports.confirming import confirmed, first_on_record
from training.errors import UserError


def figures(seed: int, **other: Any) -> dict[str, Any]:
    return {"seed": seed, "final": {"score": 1.0}, "curve": [[10, 0.5]], "training_time_s": 3.0, **other}


RECORD = {
    "experiment": "ppo_cartpole",
    "runs": {
        "ppo_cartpole": [figures(101), figures(102)],
        "dqn_cartpole": [{"seed": 101, "failed": "no memory"}, figures(102)],
    },
}


def test_a_seed_that_failed_confirms_nothing() -> None:
    assert [first_on_record(RECORD, group) for group in RECORD["runs"]] == [0, 1]


def test_times_may_differ_and_nothing_else() -> None:
    again = {
        "ppo_cartpole": figures(101, training_time_s=9.0, curve=[(10, 0.5)]),
        "dqn_cartpole": figures(102),
    }
    report = confirmed(RECORD, again)
    assert report["confirmed"]["seeds"] == {"ppo_cartpole": 101, "dqn_cartpole": 102}
    assert report["runs"] == RECORD["runs"]
    for other in ({"curve": [[10, 0.25]]}, {"final": {"score": 1.0 + 1e-15}}, {"failed": "no memory"}):
        with pytest.raises(UserError, match="dqn_cartpole seed 102 ends otherwise than on record"):
            confirmed(RECORD, {**again, "dqn_cartpole": figures(102, **other)})
