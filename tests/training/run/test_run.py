"""Runs: their folder, lock, stages and result, and how signals end them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from tests.support import ROOT
from training import interruption
from training.claims import Claim
from training.core import Budget, Counters, Every
from training.errors import UserError
from training.interruption import Interrupted
from training.metrics import Last
from training.run import provenance
from training.run.checkpoint import CheckpointConfig, read_state
from training.run.folder import find_checkpoint, read_settings
from training.run.logger import read_rows
from training.run.provenance import changes, describe_environment, import_closure, source_hash
from training.run.run import Run
from training.state import State


@dataclass(frozen=True)
class Config:
    seed: int = 3
    rate: float = 0.5


class Part:
    def __init__(self) -> None:
        self.weight = torch.zeros(2)

    def state_dict(self) -> State:
        return {"weight": self.weight}

    def load_state_dict(self, state: State) -> None:
        self.weight = state["weight"].clone()


def create(folder: Path, **options: Any) -> Run:
    return Run.create("example", Config(), folder=folder, tracker="none", **options)


def train(run: Run, updates: int, *, part: Part | None = None, update_s: float = 0.0) -> Counters:
    """What `fit` does with a run."""
    part = part or Part()
    log = run.open_log(Every(1, "updates"), Budget(updates, "updates"))
    checkpoint = run.checkpoint({"agent": part}, CheckpointConfig(Every(1, "updates"), keep_last=2))
    now = checkpoint.restore()
    while now.updates < updates:
        time.sleep(update_s)
        part.weight += 1
        now = now.advance(env_steps=10, updates=1)
        log.add({"loss": Last(1.0 / now.updates)})
        log.write(now)
        checkpoint.score(float(-abs(now.updates - 2)), now)
        checkpoint.save(now)
        interruption.check()
    return now


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


@contextmanager
def script(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process of its own, which is gone after the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


# ---- the folder ----


def test_a_completed_run_holds_everything_about_itself(tmp_path: Path) -> None:
    with Run.create("example", Config(), tracker="none", runs=tmp_path) as run:
        now = train(run, 4)
        run.finish(now, metrics={"evaluation/return_mean": 500.0}, best={"evaluation/return_mean": 501.0})
    assert run.folder.parent == tmp_path / "example"
    assert re.fullmatch(r"\d{8}T\d{6}Z-seed3-[0-9a-f]{4}", run.folder.name)
    assert {path.name for path in run.folder.iterdir()} == {
        *("config.json", "environment.json", "metrics.jsonl", "timing.jsonl", "checkpoints", "result.json", "lock")
    }
    settings = read_settings(run.folder)
    assert settings["config"] == {"seed": 3, "rate": 0.5}
    assert len(settings["config_hash"]) == len(settings["source_hash"]) == 64
    written = result(run.folder)
    assert 0 < written.pop("training_time_s") <= written.pop("wall_time_s") < 60
    assert written == {
        "experiment": "example",
        "status": "completed",
        "exact": True,
        "inexact": [],
        "seed": 3,
        "counters": {"env_steps": 40, "updates": 4, "samples": 0, "epochs": 0},
        "metrics": {"evaluation/return_mean": 500.0},
        "best": {"evaluation/return_mean": 501.0},
        "claims": [],
        "parent": None,
        "checkpoint": "checkpoints/0000000004",
    }
    assert find_checkpoint(run.folder, "last").name == "0000000004"
    assert find_checkpoint(run.folder, "best").name == "0000000002"


def test_two_runs_made_at_once_have_folders_of_their_own(tmp_path: Path) -> None:
    runs = [Run.create("example", Config(), tracker="none", runs=tmp_path) for _ in range(5)]
    assert len({run.folder for run in runs}) == 5
    for run in runs:
        run.close()


def test_the_environment_is_recorded_without_its_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "s3cr3t-value")
    with create(tmp_path / "run"):
        pass
    text = "".join(path.read_text() for path in (tmp_path / "run").iterdir())
    assert "s3cr3t-value" not in text
    assert os.uname().nodename not in text
    written = json.loads((tmp_path / "run/environment.json").read_text())
    assert written["packages"]["torch"] == torch.__version__
    assert "stable-baselines3" in written["packages"]
    assert written["python"] == sys.version.split()[0]
    assert (written["cpus"], written["threads"]) == (os.cpu_count(), torch.get_num_threads())


def test_a_folder_that_is_taken_is_refused_and_left_alone(tmp_path: Path) -> None:
    with create(tmp_path / "run"):
        pass
    with pytest.raises(UserError, match=r"taken: .*run; resume it with `python -m experiments resume .*run`"):
        create(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").touch()
    with pytest.raises(UserError, match=r"taken: .*other holds other files"):
        create(tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]
    with pytest.raises(UserError, match=r"taken: .*notes.txt is a file"):
        create(tmp_path / "other/notes.txt")
    (tmp_path / "empty").mkdir()
    with create(tmp_path / "empty") as run:
        assert run.folder == tmp_path / "empty"


def test_what_a_process_left_that_was_killed_while_it_made_the_folder_is_in_nobodys_way(tmp_path: Path) -> None:
    left = ["lock", "environment.json.unfinished", "environment.json", "config.json.unfinished"]
    for count in range(1, len(left) + 1):
        folder = tmp_path / str(count)
        folder.mkdir()
        for name in left[:count]:
            (folder / name).write_text("{")
        with create(folder) as run:
            assert read_settings(run.folder)["experiment"] == "example"


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    for make in (lambda: None, lambda: (tmp_path / "config.json").write_text("[]")):
        make()
        for use in (Run.open, read_settings, lambda folder: find_checkpoint(folder, "last")):
            with pytest.raises(UserError, match=f"{tmp_path} is not a run"):
                use(tmp_path)
    assert not (tmp_path / "lock").exists()
    with create(tmp_path / "run"):
        (tmp_path / "run/environment.json").unlink()
    with pytest.raises(UserError, match=r"run is not a run: its environment.json cannot be read"):
        Run.open(tmp_path / "run")
    with pytest.raises(UserError, match="missing is not a run"):
        Run.open(tmp_path / "missing")


def make_a_mistake(run: Run) -> None:
    with pytest.raises(UserError, match="no such device"), run:
        raise UserError("no such device")


def test_a_mistake_before_anything_was_trained_leaves_no_folder_behind(tmp_path: Path) -> None:
    make_a_mistake(create(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    make_a_mistake(create(tmp_path / "empty"))
    assert list((tmp_path / "empty").iterdir()) == [], "the folder itself was there before"
    staged = create(tmp_path / "staged")
    staged.stage("pretrain").open_log(Every(1), Budget(1))
    make_a_mistake(staged)
    assert not (tmp_path / "staged").exists()


def test_a_mistake_takes_away_nothing_that_was_trained_or_is_not_the_runs_own(tmp_path: Path) -> None:
    with create(tmp_path / "trained") as parent:
        train(parent, 1)
    make_a_mistake(Run.open(parent.folder))
    with create(tmp_path / "opened"):
        pass
    make_a_mistake(Run.open(tmp_path / "opened"))
    make_a_mistake(create(tmp_path / "extended", begin_with=[parent.folder / "checkpoints"]))
    foreign = create(tmp_path / "foreign")
    (foreign.folder / "notes.txt").touch()
    make_a_mistake(foreign)
    logged = create(tmp_path / "logged")
    logged.open_log(Every(1), Budget(1)).add({"loss": Last(1.0)})
    logged.log.write(Counters(updates=1))
    make_a_mistake(logged)
    for name in ("trained", "opened", "extended", "foreign", "logged"):
        assert result(tmp_path / name)["status"] == "failed"
        assert (tmp_path / name / "config.json").exists()
    with pytest.raises(ZeroDivisionError), create(tmp_path / "crashed"):
        raise ZeroDivisionError
    assert result(tmp_path / "crashed")["status"] == "failed"


def test_a_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, reason in (("file/sub", "Not a directory"), ("x" * 300, "File name too long")):
        with pytest.raises(UserError, match=rf"^run folder .*{folder} cannot be made \({reason}\)$"):
            create(tmp_path / folder)
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed/lock").mkdir()  # permissions do not stop root, who may run this test
    with pytest.raises(UserError, match=r"^run folder .*closed cannot be written \(Is a directory\)$"):
        create(tmp_path / "closed")


def test_a_run_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    with create(tmp_path), pytest.raises(UserError, match="no best checkpoint yet"):
        find_checkpoint(tmp_path, "best")


def test_the_verdicts_are_part_of_the_result_of_a_completed_run(tmp_path: Path) -> None:
    claims = (Claim("score", ">=", 2.0),)
    with create(tmp_path, claims=claims) as run:
        train(run, 1)
    with Run.open(tmp_path, claims=claims) as run:
        run.finish(train(run, 2), metrics={"score": 3.0})
    assert [verdict["holds"] for verdict in result(tmp_path)["claims"]] == [True]


# ---- one process at a time ----

HOLD = """
import multiprocessing, sys, time
from pathlib import Path
from tests.training.run.test_run import Config
from training.run.run import Run
run = Run.create("example", Config(), folder=Path(sys.argv[1]), tracker="none")
worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
worker.start()
print(worker.pid, flush=True)
time.sleep(30)
"""


def test_the_lock_names_its_holder_and_ends_with_it_even_by_kill_9(tmp_path: Path) -> None:
    with script(HOLD, tmp_path / "run") as holder:
        assert holder.stdout is not None
        orphan = int(holder.stdout.readline())
        try:
            with pytest.raises(UserError, match=f"locked by process {holder.pid}"):
                Run.open(tmp_path / "run")
            with pytest.raises(UserError, match="taken"):
                create(tmp_path / "run")
            holder.kill()
            holder.wait()
            os.kill(orphan, 0)  # a worker of the dead process still lives, and does not hold the folder
            with Run.open(tmp_path / "run") as run:
                assert (tmp_path / "run/lock").read_text() == f"{os.getpid()}\n"
                with pytest.raises(UserError, match=f"locked by process {os.getpid()}"):
                    Run.open(run.folder)
            Run.open(tmp_path / "run").close()
        finally:
            os.kill(orphan, signal.SIGKILL)


# ---- going on ----


def test_a_failed_run_says_how_far_it_came_and_goes_on_from_there(tmp_path: Path) -> None:
    def fail() -> None:
        with create(tmp_path) as run:
            train(run, 3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    failed = result(tmp_path)
    assert (failed["status"], failed["counters"]["updates"]) == ("failed", 3)
    assert failed["checkpoint"] == "checkpoints/0000000003"
    assert failed["metrics"] == {"loss": pytest.approx(1 / 3)}
    assert failed["best"]["value"] == 0.0
    with pytest.raises(UserError), Run.open(tmp_path):
        raise UserError("before anything was trained")
    assert result(tmp_path) == failed, "what is known of the run stays known"
    part = Part()
    with Run.open(tmp_path) as run:
        assert (run.experiment, run.seed, run.config) == ("example", 3, {"seed": 3, "rate": 0.5})
        assert not run.finished
        run.finish(train(run, 5, part=part), metrics={})
    assert part.weight.tolist() == [5.0, 5.0]
    done = result(tmp_path)
    assert (done["status"], done["counters"]["updates"], done["exact"]) == ("completed", 5, True)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 5


def test_times_are_summed_over_the_segments(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        train(run, 1, update_s=0.2)  # and then it is gone without a word
    with Run.open(tmp_path) as run:
        now = train(run, 2, update_s=0.2)
        time.sleep(0.2)  # what comes after the last save is no training
        run.finish(now, metrics={})
    assert 0.4 <= result(tmp_path)["training_time_s"] <= result(tmp_path)["wall_time_s"] - 0.2
    first, second = (row["wall_time_s"] for row in read_rows(tmp_path / "timing.jsonl"))
    assert 0.2 <= first <= second - 0.2


def test_rows_of_a_segment_that_left_no_checkpoint_are_void(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        log = run.open_log(Every(1), Budget(1))
        log.add({"loss": Last(7.0)})
        log.write(Counters(updates=1))
    with Run.open(tmp_path) as run:
        train(run, 2)
    assert [json.loads(line)["updates"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [1, 2]


def test_a_finished_run_says_so_when_it_is_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with create(tmp_path) as run:
        run.finish(train(run, 1), metrics={})
    capsys.readouterr()
    with Run.open(tmp_path) as run:
        assert run.finished
    assert capsys.readouterr().err == f"run {tmp_path} is finished\n"


def test_another_environment_is_named_and_makes_the_run_inexact(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with create(tmp_path) as run:
        train(run, 1)
    saved = json.loads((tmp_path / "environment.json").read_text())
    saved["commit"] = "0123abc"
    saved["packages"] |= {"torch": "2.0.0", "gone": "1.0"}
    (tmp_path / "environment.json").write_text(json.dumps(saved))
    capsys.readouterr()
    with Run.open(tmp_path) as run:
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2
        assert re.search(r"commit 0123abc -> \w+", lines[0])
        assert f"gone 1.0 -> none, torch 2.0.0 -> {torch.__version__}" in lines[1]
        train(run, 2)
    (tmp_path / "environment.json").write_text(json.dumps(describe_environment()))
    with Run.open(tmp_path) as run:
        run.finish(train(run, 3), metrics={})
    assert result(tmp_path)["exact"] is False
    assert len(result(tmp_path)["inexact"]) == 1
    assert "torch 2.0.0" in result(tmp_path)["inexact"][0]


def test_another_commit_alone_warns_and_leaves_the_run_exact() -> None:
    now = describe_environment()
    assert changes(now, now) == {}
    assert list(changes({**now, "commit": "0123abc"}, now)) == ["commit"]


def test_the_source_hash_covers_what_the_experiment_imports_and_nothing_else(tmp_path: Path) -> None:
    files = {
        "agents/__init__.py": "",
        "agents/ppo.py": "from training import fit",
        "agents/sac.py": "",
        "envs/tasks/__init__.py": "register('Reach-v0', 'envs.tasks.reach:Reach')",
        "envs/tasks/reach.py": "",
        "experiments/control/one.py": "from agents.ppo import PPO\nENV = 'envs.tasks:Reach-v0'",
        "experiments/control/two.py": "",
        "reports/tables.py": "",
        "training/fit.py": "def late():\n    import training.late",
        "training/late.py": "",
        "training/submit.py": "import agents.ppo",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    other = {"agents/sac.py", "experiments/control/two.py", "reports/tables.py", "training/submit.py"}
    for name, text in files.items():
        before = source_hash("one", tmp_path)
        (tmp_path / name).write_text(f"{text}\nchanged = True\n")
        assert (source_hash("one", tmp_path) != before) == (name not in other), name
    before = source_hash("one", tmp_path)
    (tmp_path / "training/fit.py").rename(tmp_path / "training/loop.py")
    assert source_hash("one", tmp_path) != before


def test_the_source_hash_of_a_real_experiment_leaves_other_algorithms_and_reports_out() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in import_closure(ROOT / "experiments/control/ppo_cartpole.py")}
    assert {"agents/ppo.py", "training/fit.py", "envs/tasks/cartpole.py", "agents/acting/ray_worker.py"} <= files
    assert not files & {"agents/sac.py", "agents/dqn.py", "pretraining/supervised.py", "reports/tables.py"}
    assert not any(name.startswith(("commands/", "reports/", "finetuning/")) for name in files)


def test_a_folder_without_git_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    described = describe_environment()
    assert (described["commit"], described["dirty"]) == (None, None)


# ---- stages ----


def test_stages_have_folders_and_results_and_are_skipped_when_finished(tmp_path: Path) -> None:
    trained = []

    def experiment(run: Run, *, stop: bool) -> None:
        for name, updates in (("pretrain", 2), ("finetune", 3)):
            stage = run.stage(name)
            if stage.finished:
                continue
            trained.append(name)
            now = train(stage, updates)
            if stop and name == "finetune":
                raise Interrupted(signal.SIGTERM)
            stage.finish(now, metrics={"score": updates})
        run.finish(now, metrics={"score": 9.0})

    with pytest.raises(Interrupted), create(tmp_path, parent="earlier") as run:
        experiment(run, stop=True)
    first, second, whole = (result(tmp_path / name) for name in ("01-pretrain", "02-finetune", "."))
    assert [one["status"] for one in (first, second, whole)] == ["completed", "interrupted", "interrupted"]
    assert [one["parent"] for one in (first, second, whole)] == ["earlier", "01-pretrain", "earlier"]
    assert whole["checkpoint"] == "02-finetune/checkpoints/0000000003"
    assert whole["counters"]["updates"] == 3
    with Run.open(tmp_path) as run:
        experiment(run, stop=False)
    assert trained == ["pretrain", "finetune", "finetune"]
    second, whole = result(tmp_path / "02-finetune"), result(tmp_path)
    assert (second["status"], whole["status"]) == ("completed", "completed")
    assert whole["wall_time_s"] == pytest.approx(first["wall_time_s"] + second["wall_time_s"])
    assert (tmp_path / "01-pretrain/metrics.jsonl").exists()
    assert read_state(find_checkpoint(tmp_path, "last"), "agent")["weight"].tolist() == [3, 3]
    assert find_checkpoint(tmp_path / "01-pretrain", "last").parent.parent.name == "01-pretrain"
    with pytest.raises(UserError, match="is a stage of the run"):
        Run.open(tmp_path / "01-pretrain")


def test_another_stage_in_the_same_place_is_refused(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        run.stage("pretrain")
    with Run.open(tmp_path) as run, pytest.raises(UserError, match=r"01-distill .* is 01-pretrain there"):
        run.stage("distill")


def test_the_names_of_the_runs_own_parts_are_reserved(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        run.open_log(Every(1), Budget(1))
        with pytest.raises(ValueError, match="log"):
            run.checkpoint({"log": Part()}, CheckpointConfig())


# ---- signals ----

LOOP = """
import sys, time
from pathlib import Path
from tests.training.run.test_run import create, train
from training import interruption
for folder in map(Path, sys.argv[1:]):
    try:
        with interruption.catch(), create(folder) as run:
            print("ready", flush=True)
            if folder.name == "slow":
                while not interruption.requested():
                    time.sleep(0.01)
                print("asked", flush=True)
                time.sleep(30)
            train(run, 1_000_000)
    except interruption.Interrupted as interrupted:
        print(interrupted.signal_number, flush=True)
"""


def test_signals_save_and_end_the_run_and_a_second_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    with script(LOOP, tmp_path / "SIGINT", tmp_path / "SIGTERM", tmp_path / "slow") as process:
        assert process.stdout is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            folder = tmp_path / number.name
            assert process.stdout.readline() == "ready\n"
            while not (folder / "checkpoints").exists():
                time.sleep(0.01)
            process.send_signal(number)
            assert process.stdout.readline() == f"{int(number)}\n"
            written = result(folder)
            assert written["status"] == "interrupted"
            assert written["counters"]["updates"] == int(Path(written["checkpoint"]).name) > 0
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert process.poll() is None, "a second termination changes nothing"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=5)
    assert process.returncode == -signal.SIGINT  # a shell shows it as 130
    assert told.count("saving; press Ctrl-C again to stop at once\n") == 3


def test_handlers_are_put_back_and_other_threads_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with interruption.catch():
        assert signal.getsignal(signal.SIGINT) != before[0]
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.requested() == signal.SIGTERM
        with pytest.raises(Interrupted, match="SIGTERM"):
            interruption.check()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert interruption.requested() is None
    failures: list[BaseException] = []

    def elsewhere() -> None:
        try:
            with interruption.catch():
                assert signal.getsignal(signal.SIGINT) == before[0]
        except BaseException as error:
            failures.append(error)

    thread = Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert failures == []
