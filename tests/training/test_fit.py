"""The one loop: what it calls in which order, what reaches the log, when it saves, and how it ends."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from training import interruption
from training.core import Batch, Budget, Counters, Every, Unit
from training.fit import fit
from training.interruption import Interrupted
from training.metrics import Last, Mean, Metrics, Sum
from training.run.checkpoint import Checkpoint, read_state
from training.run.clock import Clock
from training.run.logger import Logger, read_rows
from training.state import State

Calls = list[tuple[Any, ...]]
NEVER = Every(1_000_000)
EVERY_UPDATE = Every(1, "updates")


class Numbers:
    """A stream of the numbers 1, 2, 3 ..., ten env steps and five samples each."""

    def __init__(self, calls: Calls) -> None:
        self.calls, self.number = calls, 0

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        self.calls.append(("next", now))
        self.number += 1
        return {"number": torch.tensor(self.number)}, now.advance(env_steps=10, samples=5), {"rollout/n": Sum(1)}

    def learned(self, feedback: Batch) -> None:
        self.calls.append(("learned", feedback["answer"].item()))

    def state_dict(self) -> State:
        self.calls.append(("save", self.number))
        return {"number": self.number}

    def load_state_dict(self, state: State) -> None:
        self.number = state["number"]


class Adds:
    """Adds the numbers up; its feedback is ten times the number. It may be told to stop while it learns one."""

    def __init__(self, calls: Calls, *, signal_at: int | None = None) -> None:
        self.calls, self.total, self.signal_at = calls, 0, signal_at

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        number = int(batch["number"])
        self.calls.append(("update", number, now))
        self.total += number
        if number == self.signal_at:
            signal.raise_signal(signal.SIGTERM)
        return {"learner/number": Mean(number)}, {"answer": 10 * batch["number"]}

    def state_dict(self) -> State:
        return {"total": self.total}

    def load_state_dict(self, state: State) -> None:
        self.total = state["total"]


class Marks:
    """An evaluation that gives one mark after another."""

    score = "evaluation/mark"

    def __init__(self, calls: Calls, every: Every, marks: list[float]) -> None:
        self.calls, self.every, self.marks = calls, every, iter(marks)

    def __call__(self, algorithm: Any) -> Metrics:
        self.calls.append(("evaluate", algorithm.total))
        return {"evaluation/alphabetically_first": Last(-algorithm.total), "evaluation/mark": Last(next(self.marks))}


class Parts:
    """Everything that one call of `fit` takes; made again in the same folder it is the run after a restart."""

    def __init__(
        self,
        folder: Path,
        *,
        log: Every = NEVER,
        save: Every = NEVER,
        evaluate: Every = NEVER,
        marks: tuple[float, ...] = (),
        signal_at: int | None = None,
    ) -> None:
        self.folder, self.calls = folder, []
        self.stream, self.algorithm = Numbers(self.calls), Adds(self.calls, signal_at=signal_at)
        self.log = Logger(folder, every=log, until=Budget(1), tracker=None, console=None, clock=Clock())
        parts = {"stream": self.stream, "algorithm": self.algorithm, "log": self.log}
        self.checkpoint = Checkpoint(folder / "checkpoints", parts, every=save, keep_last=100)
        self.evaluate = Marks(self.calls, evaluate, list(marks))

    def fit(self, until: int, unit: Unit = "env_steps") -> Counters:
        return fit(
            self.algorithm,
            self.stream,
            until=Budget(until, unit),
            log=self.log,
            evaluate=self.evaluate,
            checkpoint=self.checkpoint,
        )

    @property
    def rows(self) -> list[dict[str, float]]:
        return read_rows(self.folder / "metrics.jsonl")

    def named(self, *names: str) -> Calls:
        return [call for call in self.calls if call[0] in names]


def after(updates: int) -> Counters:
    return Counters(env_steps=10 * updates, updates=updates, samples=5 * updates)


def test_the_parts_are_called_in_order_with_the_counters_from_before_the_batch(tmp_path: Path) -> None:
    parts = Parts(tmp_path, evaluate=Every(20), marks=(1.0,))
    assert parts.fit(30) == after(3)
    assert parts.calls == [
        *[("next", after(0)), ("update", 1, after(0)), ("learned", 10)],
        *[("next", after(1)), ("update", 2, after(1)), ("learned", 20), ("evaluate", 3), ("save", 2)],
        *[("next", after(2)), ("update", 3, after(2)), ("learned", 30), ("save", 3)],
    ]


@pytest.mark.parametrize(("until", "unit", "updates"), [(30, "env_steps", 3), (31, "env_steps", 4), (2, "updates", 2)])
def test_it_ends_with_the_first_update_that_reaches_the_budget(
    tmp_path: Path, until: int, unit: Unit, updates: int
) -> None:
    parts = Parts(tmp_path)
    assert parts.fit(until, unit) == after(updates)
    assert len(parts.named("update")) == updates


def test_all_that_is_measured_is_in_the_rows_and_the_last_row_may_be_short(tmp_path: Path) -> None:
    parts = Parts(tmp_path, log=Every(20))
    parts.fit(50)
    rows = [(row["env_steps"], row["updates"], row["rollout/n"], row["learner/number"]) for row in parts.rows]
    assert rows == [(20, 2, 2, 1.5), (40, 4, 2, 3.5), (50, 5, 1, 5)]


def test_an_evaluation_has_a_row_at_once_and_only_when_it_is_due(tmp_path: Path) -> None:
    parts = Parts(tmp_path, log=Every(40), evaluate=Every(25), marks=(7.0, 8.0))
    parts.fit(60)
    assert [(row["updates"], row.get("evaluation/mark"), row["rollout/n"]) for row in parts.rows] == [
        (3, 7.0, 3),
        (4, None, 1),
        (5, 8.0, 1),
        (6, None, 1),
    ]
    assert parts.rows[0]["evaluation/alphabetically_first"] == -6
    assert parts.named("evaluate") == [("evaluate", 6), ("evaluate", 15)]


def test_it_saves_when_due_and_at_the_end(tmp_path: Path) -> None:
    parts = Parts(tmp_path, save=Every(2, "updates"))
    parts.fit(50)
    assert parts.named("save") == [("save", 2), ("save", 4), ("save", 5)]
    assert parts.checkpoint.position == after(5)
    assert parts.checkpoint.last is not None
    assert read_state(parts.checkpoint.last, "log")["pending"] == {}, "the last row is written before"


def test_a_new_best_score_is_saved_at_once_and_kept(tmp_path: Path) -> None:
    parts = Parts(tmp_path, evaluate=EVERY_UPDATE, marks=(1.0, 3.0, 2.0, 3.0, 0.0))
    parts.fit(50)
    assert parts.named("save") == [("save", 1), ("save", 2), ("save", 5)]
    best = parts.checkpoint.best
    assert best is not None
    assert read_state(best, "algorithm") == {"total": 1 + 2}
    saved_log = read_state(best, "log")
    assert saved_log["latest"]["evaluation/mark"] == 3.0, "its row is written before"
    assert saved_log["pending"] == {}


def test_a_signal_saves_after_the_update_and_ends_the_run_which_then_goes_on_exactly(tmp_path: Path) -> None:
    whole_folder, folder = tmp_path / "whole", tmp_path / "stopped"
    whole_folder.mkdir()
    folder.mkdir()
    whole = Parts(whole_folder, log=Every(20))
    whole.fit(60)

    stopped = Parts(folder, log=Every(20), signal_at=3)
    with interruption.catch(), pytest.raises(Interrupted) as error:
        stopped.fit(60)
    assert error.value.signal_number == signal.SIGTERM
    assert stopped.calls[-3:] == [("update", 3, after(2)), ("learned", 30), ("save", 3)]
    assert stopped.checkpoint.position == after(3)

    resumed = Parts(folder, log=Every(20))
    assert resumed.fit(60) == after(6)
    assert resumed.calls[:2] == [("next", after(3)), ("update", 4, after(3))]
    assert resumed.algorithm.total == whole.algorithm.total
    assert (folder / "metrics.jsonl").read_bytes() == (whole_folder / "metrics.jsonl").read_bytes()


def test_a_signal_during_the_last_update_still_ends_the_run(tmp_path: Path) -> None:
    parts = Parts(tmp_path, signal_at=2)
    with interruption.catch(), pytest.raises(Interrupted):
        parts.fit(20)
    assert parts.checkpoint.position == after(2)


class EndsEvaluating(Marks):
    """A signal comes during its second evaluation."""

    def __call__(self, algorithm: Any) -> Metrics:
        if algorithm.total > 3:
            signal.raise_signal(signal.SIGTERM)
            interruption.check()
        return super().__call__(algorithm)


@pytest.mark.parametrize("second", [9.0, 1.0])
def test_a_signal_during_an_evaluation_saves_and_it_is_made_when_the_run_goes_on(tmp_path: Path, second: float) -> None:
    whole_folder, folder = tmp_path / "whole", tmp_path / "stopped"
    whole_folder.mkdir()
    folder.mkdir()
    whole = Parts(whole_folder, log=Every(30), evaluate=Every(20), marks=(7.0, second, 3.0))
    whole.fit(60)

    for _ in range(2):  # in the evaluation that a resumed run begins with, it is the same
        stopped = Parts(folder, log=Every(30), evaluate=Every(20))
        stopped.evaluate = EndsEvaluating(stopped.calls, Every(20), [7.0])
        with interruption.catch(), pytest.raises(Interrupted):
            stopped.fit(60)
        assert stopped.checkpoint.position == after(4)
        assert [row["updates"] for row in stopped.rows] == [2, 3]

    resumed = Parts(folder, log=Every(30), evaluate=Every(20), marks=(second, 3.0))
    assert resumed.fit(60) == after(6)
    assert resumed.calls[:2] == [("evaluate", 10), ("next", after(4))]
    assert (folder / "metrics.jsonl").read_bytes() == (whole_folder / "metrics.jsonl").read_bytes()
    assert resumed.checkpoint.best_score == whole.checkpoint.best_score
    assert (resumed.checkpoint.best or folder).name == (whole.checkpoint.best or folder).name

    again = Parts(folder, log=Every(30), evaluate=Every(20))
    assert again.fit(60) == after(6)
    assert again.calls == []


def test_a_finished_run_only_returns_its_counters(tmp_path: Path) -> None:
    Parts(tmp_path).fit(20)
    again = Parts(tmp_path)
    assert again.fit(20) == after(2)
    assert again.calls == []
    assert len(again.rows) == 1


def test_neither_evaluation_nor_checkpoint_is_needed(tmp_path: Path) -> None:
    parts = Parts(tmp_path, signal_at=2)
    with interruption.catch(), pytest.raises(Interrupted):
        fit(parts.algorithm, parts.stream, until=Budget(30), log=parts.log)
    assert parts.named("save", "evaluate") == []
    unscored = Parts(tmp_path, evaluate=EVERY_UPDATE, marks=(1.0, 2.0))
    fit(unscored.algorithm, unscored.stream, until=Budget(20), log=unscored.log, evaluate=unscored.evaluate)
    assert [row["evaluation/mark"] for row in unscored.rows] == [1.0, 2.0]
