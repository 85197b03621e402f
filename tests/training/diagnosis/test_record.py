"""What a diagnosis knows of a run: series of metrics, options by their ends, whether the return rose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.diagnosis.record import Record, record_of


def rows_of(name: str, values: list[float]) -> list[dict[str, float]]:
    return [{"env_steps": 10 * i, "epochs": 0, "updates": i, name: value} for i, value in enumerate(values, 1)]


def record(values: list[float], **more: Any) -> Record:
    return Record(rows_of("rollout/return_mean", values), more.get("config", {}), more.get("result", {}))


def test_a_series_has_the_finite_values_and_where_they_are() -> None:
    series = record([1.0, np.nan, *range(2, 12)]).series("rollout/return_mean")
    assert series.value.tolist() == [1.0, *range(2, 12)]
    assert series.at.tolist() == [10, *range(30, 130, 10)]
    assert series.early.tolist() == [1, 2, 3]
    assert series.late.tolist() == [9, 10, 11]
    assert series.gain == pytest.approx(8.0)


def test_too_few_rows_are_no_series() -> None:
    assert not len(record([1.0] * 9).series("rollout/return_mean").value)
    assert record([1.0] * 9).improved is None


def test_the_return_rose_or_did_not_or_it_cannot_be_told() -> None:
    noise = np.random.default_rng(1).normal(size=40)
    assert record((noise + np.linspace(0, 20, 40)).tolist()).improved is True
    assert record([5.0, 100.0, 300.0, *[500.0] * 20]).improved is True, (
        "what learns at once differs among its first rows"
    )
    assert record((noise - np.linspace(0, 20, 40)).tolist()).improved is False
    assert record((noise + np.array([0.0] * 32 + [0.8] * 8)).tolist()).improved is not True


def test_options_are_found_by_the_end_of_their_names() -> None:
    config = {"agent": {"optimizer": {"learning_rate": 0.1}, "actor_optimizer": {"learning_rate": 0.2}}, "rate": 1}
    found = record([1.0], config=config)
    assert found.options("optimizer.learning_rate") == {"agent.optimizer.learning_rate": 0.1}
    assert found.options("learning_rate") == {
        "agent.optimizer.learning_rate": 0.1,
        "agent.actor_optimizer.learning_rate": 0.2,
    }
    assert found.option("rate") == 1
    assert found.option("gamma") is None


def test_a_later_stage_does_not_begin_anew() -> None:
    begins = [record_of([], {"config": {}, "stage": stage}, {}).begins_anew for stage in (None, "01-one", "02-two")]
    assert begins == [True, True, False]


def test_what_is_counted_is_the_unit() -> None:
    assert record([1.0]).unit == "env_steps"
    assert Record([{"env_steps": 0, "epochs": 2, "updates": 9}], {}, {}).unit == "epochs"
    assert Record([], {}, {}).unit == "updates"
