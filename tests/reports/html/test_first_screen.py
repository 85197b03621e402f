"""The first screen: four questions, answered of one run and of several."""

from __future__ import annotations

from pathlib import Path

from reports.html.asked import Again
from reports.html.first_screen import cards
from tests.support.compared import write_run
from tests.support.reported import asked_of, write_stopped


def test_the_first_screen_of_one_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 100.0, inexact=["it lost a worker"], stopped_early="it is enough")
    result, sure, wrong, again = cards(asked_of(folder, again={folder: Again(commands=["a", "b", "c", "d"])}))
    assert result.lines == [
        "completed at 4,096 of 4,000 env steps in 0:50",
        "evaluation/return_mean 100; best checkpoint 101",
        "stopped early: it is enough",
    ]
    assert sure.lines == ["It is one seed: nothing is known about others.", "not exact: it lost a worker"]
    assert (wrong.lines, wrong.tone) == (["Nothing was found."], "good")
    assert (again.commands, again.lines) == (["a", "b", "c"], ["1 more below"])


def test_of_a_run_that_claims_nothing_the_first_measure_of_its_test_stands_for_it(tmp_path: Path) -> None:
    measured = {"validation/accuracy": 0.7, "test/accuracy": 0.625, "test/f1": 0.5}
    folder = write_run(tmp_path / "run", 100.0, metrics=measured, best={"test/accuracy": 0.75})
    assert cards(asked_of(folder))[0].lines[1] == "test/accuracy 0.625; best checkpoint 0.75"


def test_a_group_is_only_called_better_where_other_seeds_would_agree(tmp_path: Path) -> None:
    for apart, says in (
        (1.0, "CartPole-v1: not settled, b has the best mean"),
        (90.0, "CartPole-v1: b has the best mean"),
    ):
        folders = [
            write_run(tmp_path / f"{apart}-{name}-{seed}", 10.0 * seed + more, experiment=name, seed=seed)
            for name, more in (("a", 0.0), ("b", apart))
            for seed in (1, 2, 3)
        ]
        assert cards(asked_of(*folders))[0].lines[0] == says


def test_what_failed_is_what_went_wrong(tmp_path: Path) -> None:
    asked = asked_of(write_run(tmp_path / "a", 1.0), write_stopped(tmp_path / "b", "failed", seed=2))
    assert cards(asked)[2].lines == ["ppo_cartpole, seed 2: failed"]
    assert [(one.source, one.why) for one in asked.left_out] == [(str(tmp_path / "b"), "it is failed")]
