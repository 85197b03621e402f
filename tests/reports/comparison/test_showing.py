"""What the terminal and a CSV file show."""

from __future__ import annotations

import csv

import pytest

from reports.comparison.showing import csv_rows, print_comparison, shown
from reports.comparison.statistics import Figure
from tests.support.compared import SCORES, comparison


def test_the_terminal_shows_numbers_order_and_doubts(capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(comparison({"CartPole-v1": SCORES}, target=475.0))
    out = capsys.readouterr().out
    for words in (
        "CartPole-v1, the first 5,000 env steps",
        "465 [",
        "optimality",
        "area",
        "share of runs above",
    ):
        assert words in out
    assert "one over two: a run is better with probability 1" in out
    assert "5 seeds are few" in out


def test_what_seeds_leave_open_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(comparison({"CartPole-v1": {"one": [1.0, 9.0, 5.1], "two": [9.0, 1.0, 5.0]}}))
    assert "leave open which is better" in capsys.readouterr().out
    print_comparison(comparison({"CartPole-v1": {"one": [5.0], "two": [4.0]}}))
    assert "do not tell whether other ones" in capsys.readouterr().out


def test_long_names_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    long = "ppo_cartpole, agent.horizon 32"
    print_comparison(comparison({"CartPole-v1": {long: SCORES["one"], "two": SCORES["two"]}}))
    out = capsys.readouterr().out
    assert f"group 1: {long}" in out
    assert "group 1 over group 2" in out


def test_every_figure_is_a_row_of_csv() -> None:
    rows = list(csv.DictReader(csv_rows(comparison({"CartPole-v1": SCORES, "Acrobot-v1": SCORES})).splitlines()))
    assert {row["environment"] for row in rows} == {"CartPole-v1", "Acrobot-v1", "all environments"}
    (one,) = [
        row for row in rows if (row["environment"], row["group"], row["quantity"]) == ("CartPole-v1", "one", "mean")
    ]
    assert float(one["value"]) == pytest.approx(465.0)
    assert float(one["low"]) < 465.0 < float(one["high"])
    assert one["seeds"] == "5"


def test_a_figure_without_bounds_shows_none() -> None:
    assert shown(Figure(5.0)) == "5"
    assert shown(Figure(5.0, 4.0, 6.0)) == "5 [4, 6]"
    assert shown(None) == "-"
