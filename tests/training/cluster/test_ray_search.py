"""The trials of a search: runs that stop, go on, are copied, fail and hang."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.searched import PACKAGE, package_in, result_of
from training.search_space import Uniform

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with package_in(tmp_path, monkeypatch) as folder:
        yield folder


def trial(package: Path, name: str, *, budget: int = 40, pause_s: float = 0.0, **drawn: Any) -> Any:
    """A trial as Tune makes it, without Tune."""
    from training.cluster.ray_search import Trial, Trials

    trials = Trials(
        package=PACKAGE,
        experiment="hill",
        options=(f"--env-steps={budget}", "--checkpoint.every.count=20", f"--pause-s={pause_s}"),
        space={"agent.pace": Uniform(0.01, 0.99), "agent.optimizer.learning_rate": Uniform(0.01, 1.0)},
        metric="evaluation/height",
        mode="max",
        unit="env_steps",
        budget=budget,
        interval=20,
        folder=package / "trials",
        timeout_s=60,
        cwd=str(package),
        path=(str(package),),
    )
    trials.folder.mkdir(exist_ok=True)

    class Named(Trial):
        @property
        def trial_id(self) -> str:
            return name

    values = {"agent.pace": 0.5, "agent.optimizer.learning_rate": 0.1, **drawn}
    return Named({"trials": trials, "seed": 7, **values})


def test_a_trial_is_a_run_that_reports_its_evaluations(package: Path) -> None:
    one = trial(package, "one")
    reports = [one.train() for _ in range(2)]
    one.stop()
    assert [(report["env_steps"], report["score"]) for report in reports] == [
        (20, pytest.approx(0.1)),
        (40, pytest.approx(0.2)),
    ]
    assert [report["done"] for report in reports] == [False, True], "where the budget is spent there is only the end"
    run = package / "trials" / "one"
    assert reports[-1]["finished"] == str(run)
    assert (result_of(run)["status"], result_of(run)["seed"]) == ("completed", 7)
    assert json.loads((run / "config.json").read_text())["config"]["agent"]["pace"] == 0.5


def test_a_trial_that_is_stopped_has_saved_and_goes_on_where_it_was(package: Path) -> None:
    stopped = trial(package, "one", budget=100, pause_s=0.05)
    stopped.train()
    stopped.stop()
    run = package / "trials" / "one"
    assert result_of(run)["status"] == "interrupted"
    reached = result_of(run)["counters"]["env_steps"]
    assert 20 <= reached < 100
    again = trial(package, "one", budget=100)
    while not again.train()["done"]:
        pass
    again.stop()
    assert result_of(run)["metrics"]["evaluation/height"] == pytest.approx(0.5)
    steps = [json.loads(row)["env_steps"] for row in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [20, 40, 60, 80, 100]


@pytest.mark.full
def test_a_member_of_a_population_goes_on_from_a_copy_of_another_with_other_rates(
    package: Path, tmp_path: Path
) -> None:
    donor = trial(package, "donor", budget=100, pause_s=0.05)
    donor.train()
    saved = tmp_path / "saved"
    saved.mkdir()
    donor.save_checkpoint(str(saved))
    donor.stop()
    member = trial(package, "member", budget=100, **{"agent.optimizer.learning_rate": 0.2})
    member.load_checkpoint(str(saved))
    first = member.train()
    assert (first["env_steps"], first["score"]) == (40, pytest.approx(0.1 + 4 * 0.05))
    member.stop()
    (child,) = (package / "trials").glob("member-*[0-9]")
    settings = json.loads((child / "config.json").read_text())
    assert settings["parent"] == str(package / "trials" / "donor@0000000004")
    assert (settings["config"]["agent"]["optimizer"]["learning_rate"], settings["seed"]) == (0.2, 7)
    rows = [json.loads(row) for row in (child / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["evaluation/height"] == pytest.approx(0.1)

    donor = trial(package, "donor", budget=100)
    donor.load_checkpoint(str(saved))
    assert donor.train()["score"] == pytest.approx(0.2)  # its own run, not a copy of it
    donor.stop()


def test_rates_that_a_member_had_for_no_step_are_not_part_of_its_schedule(package: Path, tmp_path: Path) -> None:
    """One that is copied again before it has gone on was trained with the rates of its copy only, and one whose copy
    has spent the budget with those of its parent."""
    from training.cluster.ray_search import _found, lives

    donor = trial(package, "donor", budget=100, pause_s=0.05)
    donor.train()
    donor.save_checkpoint(str(tmp_path))
    donor.stop()
    parent = Path(json.loads((tmp_path / "trial.json").read_text())["copy"])
    for name, rate in (("second", 0.2), ("third", 0.3)):
        child = shutil.copytree(parent, package / "trials" / name)
        settings = json.loads((child / "config.json").read_text())
        settings["parent"] = str(parent)
        settings["config"]["agent"]["optimizer"]["learning_rate"] = rate
        (child / "config.json").write_text(json.dumps(settings))
        parent = child
    rates = [(begun, config["agent"]["optimizer"]["learning_rate"]) for begun, config in lives(parent, "env_steps")]
    assert rates == [(0, 0.1), (20, 0.3)]
    result = SimpleNamespace(metrics={"finished": str(parent), "score": 1.0}, config={})
    spent = _found(trial(package, "any", budget=20)._trials, result)
    assert (spent.values, spent.history) == ({"agent.pace": 0.5, "agent.optimizer.learning_rate": 0.1}, {})


@pytest.mark.full
def test_a_run_that_has_not_written_all_its_files_yet_is_waited_for(package: Path, tmp_path: Path) -> None:
    one = trial(package, "one", budget=100, pause_s=0.05)
    one.train()
    one.stop()
    settings = package / "trials" / "one" / "config.json"
    aside = settings.rename(tmp_path / "config.json")
    later = threading.Timer(0.5, aside.rename, [settings])
    later.start()
    one.save_checkpoint(str(tmp_path))
    later.join()
    saved = json.loads((tmp_path / "trial.json").read_text())
    assert (Path(saved["copy"]) / "config.json").read_text() == settings.read_text()


def test_a_trial_that_fails_says_why_and_one_that_hangs_is_ended(package: Path) -> None:
    failing = trial(package, "one", **{"agent.pace": 2.0, "agent.optimizer.learning_rate": 0.5})
    failing._trials.__dict__["space"] = {}  # so that nothing rounds the pace into its range
    failing._values = {"agent.pace": 2.0}
    with pytest.raises(Exception, match=r"one: exit code 2: agent\.pace = 2\.0: it takes a number in \(0, 1\)"):
        failing.step()
    hanging = trial(package, "two", pause_s=60)
    hanging._trials.__dict__["timeout_s"] = 3.0
    with pytest.raises(RuntimeError, match="two measured nothing for 3 s"):
        hanging.step()
    hanging._process.kill()


def test_the_eta_of_a_search_counts_trials_as_long_as_those_that_are_over_and_what_comes_later(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.cluster import ray_search

    trials = trial(package, "any", budget=100)._trials
    told, clock = ray_search._Told(trials, 4, later=2), iter(range(0, 1000, 10))
    monkeypatch.setattr(ray_search.time, "monotonic", lambda: next(clock))
    over = SimpleNamespace(last_result={}, is_finished=lambda: True)
    going_on = SimpleNamespace(last_result={}, is_finished=lambda: False)
    assert told._eta([over, going_on]) == "ETA –"
    for count in (20, 40, 60):  # a trial more makes 20 env steps in 10 s
        told.on_trial_result(0, [over, going_on], over, {"env_steps": count})
        over.last_result = {"env_steps": count}
    going_on.last_result = {"env_steps": 20}
    # Of the usual 60: 40 of the one that goes on, two that are to come, and two whole runs later; 2 env steps a second.
    assert told._eta([over, going_on]) == "ETA 3:00"
