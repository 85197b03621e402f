"""Metrics of several steps as one, whatever was measured in which of them."""

from __future__ import annotations

import math

import pytest
import torch

from training.metrics import Last, Max, Mean, Metrics, Reduction, Sum, add_metrics, merge_metrics, read


def test_every_kind_merges_to_the_value_worked_out_by_hand() -> None:
    parts: list[Metrics] = [
        {"a": Mean(1.0, 3), "b": Max(2.0), "c": Sum(1.5), "d": Last(1.0)},
        {"a": Mean(torch.tensor(5.0), 1), "b": Max(torch.tensor(-7.0)), "c": Sum(torch.tensor(2.0)), "d": Last(9.0)},
    ]
    assert merge_metrics(parts) == {"a": Mean(2.0, 4), "b": Max(2.0), "c": Sum(3.5), "d": Last(9.0)}


def test_a_metric_that_only_some_steps_measured_is_merged_over_those() -> None:
    """A skipped update gives nothing but its count."""
    measured: Metrics = {"optimizer/loss": Mean(2.0), "optimizer/skipped_updates": Sum(0.0)}
    skipped: Metrics = {"optimizer/skipped_updates": Sum(1.0)}
    expected = {"optimizer/loss": Mean(2.0, 1.0), "optimizer/skipped_updates": Sum(1.0)}
    assert merge_metrics([measured, skipped]) == merge_metrics([skipped, measured]) == expected
    assert merge_metrics([skipped, skipped]) == {"optimizer/skipped_updates": Sum(2.0)}
    assert merge_metrics([]) == {}


def test_merged_parts_are_logged_as_the_parts_would_be() -> None:
    parts: list[Metrics] = [{"x": Mean(float(value), value), "y": Max(float(-value))} for value in range(1, 6)]
    one_by_one: dict[str, Reduction] = {}
    for part in parts:
        add_metrics(one_by_one, part)
    at_once: dict[str, Reduction] = {}
    add_metrics(at_once, merge_metrics(parts[:2]))
    add_metrics(at_once, merge_metrics(parts[2:]))
    assert read(at_once) == pytest.approx(read(one_by_one), rel=1e-15)


def test_a_mean_over_nothing_stays_one() -> None:
    nothing = merge_metrics([{"x": Mean(math.nan, 0)}])
    assert merge_metrics([nothing, {"x": Mean(3.0)}]) == {"x": Mean(3.0, 1.0)}


def test_two_kinds_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="'x' is Mean and Sum"):
        merge_metrics([{"x": Mean(1.0)}, {"x": Sum(1.0)}])
