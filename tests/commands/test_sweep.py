"""A sweep from end to end: trials that are runs, populations, what is written, what is refused."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments.__main__ import main
from tests.support import ROOT
from tests.support.searched import PACKAGE, write_package
from training.claims import Claim
from training.search_space import Uniform

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a package of its own in it."""
    write_package(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """One small Ray for all tests here."""
    from training.cluster.ray_session import connected

    with connected(None, cpus=2):
        yield


def result_of(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


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


def test_a_child_ends_with_its_parent(package: Path) -> None:
    asked = ["train", "hill", "--env-steps=100000", "--pause-s=0.05", "--tracker=none", "--run-dir=run"]
    parent = (
        "import subprocess, time; from training import child\n"
        f"subprocess.Popen(child.command({PACKAGE!r}, *{asked})); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stderr=subprocess.DEVNULL)
    wait_for(Path("run/metrics.jsonl"))
    process.kill()
    process.wait()
    wait_for(Path("run/result.json"))
    assert result_of(Path("run"))["status"] == "interrupted"


def wait_for(path: Path, limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.05)


# Before the tests with a Ray of their own: a process that is connected would not ask for another cluster.
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sweep", "sweep takes NAME first"),
        ("sweep hil", "unknown experiment hil: did you mean hill?"),
        ("sweep hill --sample 3", "unknown option --sample: did you mean --samples?"),
        ("sweep hill --samples 0", "samples = 0: it takes at least 1"),
        ("sweep hill --cluster 127.0.0.1:9", "cluster = '127.0.0.1:9': no Ray cluster answers there"),
        ("sweep hill --samples 2 --scheduler pbt", "samples = 2: it takes at least 4 with pbt"),
        ("sweep hill --scheduler pbt", "search space: agent.pace: population-based training takes"),
        (
            "sweep hill --space agent.pac=0.1..0.2",
            "unknown key agent.pac in the search space: did you mean agent.pace?",
        ),
        ("sweep hill --space agent.pace=0.1..2", "search space: agent.pace = 2.0: it takes a number in (0, 1)"),
        ("sweep hill --seed 3", "seed = 3: it takes nothing: a sweep has seeds of its own"),
        ("sweep hill --variant 1st", "variant = '1st': it takes the name of a Python module"),
        ("sweep hill --variant hill", "/"),
        ("sweep hill --run-dir taken", "/"),
        ("sweep hill --time-s 0", "time_s = 0.0: it takes a positive number of seconds"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    package: Path, line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken").mkdir()
    Path("taken", "thesis.txt").write_text("mine")
    assert main(shlex.split(line), PACKAGE) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"error: {message}")


SWEEP = "sweep hill --space agent.pace --samples 2 --evaluations 2 --finalists 1 --seeds 2 --run-dir sweep"


def test_a_sweep_writes_a_variant_that_beats_the_default(
    package: Path, local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shlex.split(SWEEP), PACKAGE) == 0
    printed = capsys.readouterr()
    assert "trial 1 of 2: evaluation/height 0.072: --agent.pace=0.1" in printed.err
    assert "claim: evaluation/height >= hill: holds" in printed.out
    tuned = importlib.import_module(f"{PACKAGE}.hill_tuned")
    config = tuned.Config()
    assert config != importlib.import_module(f"{PACKAGE}.hill").Config()
    assert (tuned.CLAIMS, config.seed) == ((Claim("evaluation/height", ">=", baseline="hill"),), 1)
    finished = [result_of(run) for run in Path("sweep/trials").iterdir() if (run / "result.json").exists()]
    assert {result["seed"] for result in finished} == {1001}
    best = max(result["metrics"]["evaluation/height"] for result in finished if result["status"] == "completed")
    pace, rate = config.agent.pace, config.agent.optimizer.learning_rate
    assert 8 * rate * pace * (1 - pace) == pytest.approx(best)
    verdict = json.loads(Path("sweep/verify/verdict.json").read_text())
    assert verdict["claims"][0]["seeds"] == [1, 2]

    assert main(shlex.split(SWEEP), PACKAGE) == 0  # everything is there already
    assert "trial" not in capsys.readouterr().err
    assert main(shlex.split(SWEEP.replace("--samples 2", "--samples 3")), PACKAGE) == 2
    assert "is a sweep with another samples" in capsys.readouterr().err


SHORT_CARTPOLE = '''"""`ppo_cartpole` with so few env steps that better values show."""

from dataclasses import dataclass

from experiments import ppo_cartpole
from experiments.control.ppo_cartpole import SPACE, train

CLAIMS = ppo_cartpole.CLAIMS


@dataclass(frozen=True, kw_only=True)
class Config(ppo_cartpole.Config):
    env_steps: int = 10_000
'''


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_sweep_of_ppo_on_cartpole_beats_the_default(
    package: Path, local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(PACKAGE, "short_cartpole.py").write_text(SHORT_CARTPOLE)
    importlib.invalidate_caches()
    line = "sweep short_cartpole --samples 20 --scheduler none --seeds 8 --jobs 2 --compile false --run-dir sweep"
    assert main(shlex.split(line), PACKAGE) == 0
    assert "claim: evaluation/return_mean >= short_cartpole: holds" in capsys.readouterr().out
    (claim,) = json.loads(Path("sweep/verify/verdict.json").read_text())["claims"]
    assert claim["bound"] > 0  # of the paired difference over the eight seeds


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_population_finds_a_schedule(package: Path, local_ray: None, capsys: pytest.CaptureFixture[str]) -> None:
    asked = "sweep hill --scheduler pbt --space agent.optimizer.learning_rate --samples 4 --evaluations 4"
    assert main(shlex.split(f"{asked} --finalists 1 --seeds 2 --run-dir sweep"), PACKAGE) == 0
    told = capsys.readouterr().err
    assert "failed" not in told
    heights = [float(height) for height in re.findall(r"trial \d of 4: evaluation/height ([\d.]+): ", told)]
    assert len(heights) == 4
    optimizer = importlib.import_module(f"{PACKAGE}.hill_tuned").Config().agent.optimizer
    verified = result_of(Path("sweep/verify/seed-1"))["metrics"]["evaluation/height"]
    assert verified == pytest.approx(max(heights), rel=1e-4)
    runs = [run for run in Path("sweep/trials").iterdir() if (run / "result.json").exists()]
    parents = [json.loads((run / "config.json").read_text())["parent"] for run in runs]
    assert [parent for parent in parents if parent is not None]
    assert optimizer.schedule.kind in ("constant", "steps")


@pytest.mark.full
def test_a_population_does_not_wait_for_a_member_that_failed(
    package: Path, local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """It fails when the others have measured and wait for it."""
    hill = Path(PACKAGE, "hill.py")
    falls = "if self.config.seed == 1001:\n            time.sleep(5)\n            raise UserError('it fell')\n        "
    hill.write_text(hill.read_text().replace("agent = self.config.agent", f"{falls}agent = self.config.agent"))
    asked = "sweep hill --scheduler pbt --space agent.optimizer.learning_rate --samples 4 --evaluations 4"
    assert main(shlex.split(f"{asked} --finalists 1 --seeds 2 --time-s 90 --run-dir sweep"), PACKAGE) == 0
    told = capsys.readouterr().err
    assert told.count("failed, see") == 1
    assert len(re.findall(r"trial \d of 4: evaluation/height", told)) == 3


def test_a_missing_extra_is_named(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["sweep", "hill"], PACKAGE) == 2
    assert 'install it: .venv/bin/pip install -c constraints.txt -e ".[search]"' in capsys.readouterr().err


def test_a_sweep_in_which_all_fails_says_why(
    package: Path, local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "sweep hill --samples 1 --agent.shoes broken --space agent.pace --run-dir sweep"
    assert main(shlex.split(line), PACKAGE) == 2
    assert "no trial came to its end: " in (told := capsys.readouterr().err)
    assert "exit code 2: agent.shoes: they are broken" in told


@pytest.mark.full
def test_a_sweep_that_is_killed_goes_on(package: Path) -> None:
    asked = [sys.executable, "-m", PACKAGE, *shlex.split(SWEEP), "--pause-s", "0.2", "--scheduler", "none"]
    process = subprocess.Popen(asked, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    while "trial 1 of 2" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(4)  # in the middle of the second
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = {run.name for run in Path("sweep/trials").iterdir()}
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    runs = [run for run in Path("sweep/trials").iterdir() if (run / "result.json").exists()]
    assert before <= {run.name for run in Path("sweep/trials").iterdir()}
    assert sum(result_of(run)["status"] == "completed" for run in runs) == 2
