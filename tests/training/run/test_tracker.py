from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support import ROOT
from training.core import Budget, Counters, Every
from training.errors import UserError
from training.metrics import Last
from training.run.clock import Clock
from training.run.logger import Logger
from training.run.tracker import Job, Mode, Tracker, sync
from training.run.wandb_process import _use_parent

CONFIG = {
    "experiment": "ppo",
    "group": "ppo-CartPole-v1",
    "id": "seed-1",
    "seed": 1,
    "parent": "runs/x/first",
    "config": {"agent": {"learning_rate": 3e-4}},
}
RESULT = {
    "status": "completed",
    "exact": False,
    "inexact": ["a worker was lost"],
    "metrics": {"evaluation/return_mean": 489.5},
    "best": {"evaluation/return_mean": 500.0},
}


@pytest.fixture(autouse=True)
def _logged_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "wandb-config"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # whatever goes wrong, nothing leaves this machine


@pytest.fixture
def silent_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A W&B server that accepts connections and never answers, and a user who is logged in to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "f" * 40)
        yield


def make_run(folder: Path, mode: Mode, finish_timeout_s: float = 60) -> tuple[Logger, Tracker]:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    names = {"group": "ppo_cartpole", "run_id": "seed-1", "parent": "runs/x/first"}
    tracker = Tracker(folder, mode=mode, **names, finish_timeout_s=finish_timeout_s)
    logger = Logger(folder, every=Every(10), until=Budget(1000), tracker=tracker, console=None, clock=Clock())
    return logger, tracker


def train(logger: Logger, updates: range) -> None:
    for update in updates:
        logger.add({"loss": Last(1 / update), "broken": Last(float("nan"))})
        logger.write(Counters(env_steps=10 * update, updates=update))


def offline_runs(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*"))


def read_back(offline_run: Path) -> dict[str, Any]:
    """What wandb's own reader finds in an offline run."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(offline_run)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    records = [json.loads(line) for line in output.splitlines()]
    summary: dict[str, Any] = {}
    for record in records:
        summary |= record.get("summary", {}).get("update", {})
    return {
        "run": next(record["run"] for record in records if record["type"] == "run"),
        "history": [record["history"]["item"] for record in records if record["type"] == "history"],
        "axes": [record["metric"].get("step_metric") for record in records if record["type"] == "metric"],
        "summary": summary,
        "artifacts": [record["artifact"] for record in records if record["type"] == "artifact"],
        "exit_code": [record["exit"].get("exit_code", 0) for record in records if record["type"] == "exit"],
    }


def process_settings() -> list[Any]:
    """What wandb changes in the process that runs it."""
    return [
        "wandb" in sys.modules,
        sys.exit,
        sys.excepthook,
        dict(os.environ),
        *(signal.getsignal(number) for number in (2, 15)),
    ]


def test_an_offline_copy_has_config_every_row_and_summary_and_leaves_the_process_alone(tmp_path: Path) -> None:
    before = process_settings()
    logger, tracker = make_run(tmp_path / "run", "auto")
    train(logger, range(1, 31))
    tracker.finish(RESULT)
    assert process_settings() == before
    (offline_run,) = offline_runs(tmp_path / "run")
    assert tracker.where == str(offline_run)
    copy = read_back(offline_run)
    assert (copy["run"]["project"], copy["run"]["run_group"]) == ("regimen", "ppo_cartpole")
    assert (copy["run"]["run_id"], copy["run"]["display_name"]) == ("seed-1", "seed-1")
    config = copy["run"]["config"]["update"]
    assert config["config"] == {"agent": {"learning_rate": 3e-4}}
    assert config["parent"] == "runs/x/first"
    assert [row["_step"] for row in copy["history"]] == list(range(30))
    assert [row["env_steps"] for row in copy["history"]] == list(range(10, 310, 10))
    assert copy["history"][4]["loss"] == 1 / 5
    assert copy["history"][4]["broken"] == "NaN"
    assert copy["history"][4]["timing/wall_time_s"] > 0
    assert "env_steps" in copy["axes"]
    assert copy["summary"]["evaluation/return_mean"] == 489.5
    assert copy["summary"]["status"] == "completed"
    assert copy["summary"]["exact"] is False
    assert copy["summary"]["inexact"] == ["a worker was lost"]
    assert copy["exit_code"] == [0]


def test_a_copy_that_is_turned_off_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    logger, tracker = make_run(tmp_path / "run", "auto")
    train(logger, range(1, 5))
    tracker.finish(RESULT)
    assert tracker.where is None
    assert not (tmp_path / "run/wandb").exists()
    with pytest.raises(UserError, match="WANDB_MODE = 'disabled': a copy takes 'online' or 'offline'"):
        sync(tmp_path / "run")


def test_the_variables_of_wandb_that_are_heeded_name_a_copy_and_not_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each as the documentation says. The explicit offline wins over WANDB_MODE."""
    given = {"PROJECT": "mine", "RUN_GROUP": "group", "NAME": "name", "ENTITY": "us", "TAGS": "a,b", "NOTES": "note"}
    given |= {"JOB_TYPE": "job", "DIR": str(tmp_path / "elsewhere"), "RUN_ID": "other", "MODE": "disabled"}
    for name, value in given.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    (tmp_path / "elsewhere").mkdir()
    logger, tracker = make_run(tmp_path / "run", "offline")
    train(logger, range(1, 3))
    tracker.finish(RESULT)
    (offline_run,) = offline_runs(tmp_path / "run")
    run = read_back(offline_run)["run"]
    heeded = {"project": "mine", "run_group": "group", "display_name": "name", "entity": "us", "notes": "note"}
    heeded |= {"job_type": "job", "run_id": "seed-1"}
    assert {name: run.get(name) for name in heeded} == heeded
    assert run["tags"] == ["a", "b"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_checkpoint_of_a_finished_run_is_an_artifact_of_its_copy(tmp_path: Path) -> None:
    logger, tracker = make_run(tmp_path / "run", "offline")
    train(logger, range(1, 3))
    manifest = tmp_path / "run/checkpoints/7/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    tracker.finish({**RESULT, "checkpoint": "checkpoints/7"})
    (offline_run,) = offline_runs(tmp_path / "run")
    (artifact,) = read_back(offline_run)["artifacts"]
    assert (artifact["name"], artifact["type"]) == ("seed-1", "checkpoint")
    assert [entry["path"] for entry in artifact["manifest"]["contents"]] == ["manifest.json"]
    waiting = Path(artifact["manifest"]["contents"][0]["local_path"])
    assert waiting.is_relative_to(tmp_path / "run"), "what waits to be sent is in the run folder"


@pytest.mark.parametrize(
    ("parent", "artifact"),
    [("01-offline", "seed-1-01-offline:latest"), ("{runs}/first", "first-id:latest"), (None, None)],
)
def test_a_copy_is_linked_to_the_checkpoint_that_its_run_goes_on_from(
    tmp_path: Path, parent: str | None, artifact: str | None
) -> None:
    """W&B takes the link online only, so what is asked of it is all that can be seen here."""
    for name, settings in (("first", {"id": "first-id"}), ("run", CONFIG)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(settings))
    asked: list[str] = []

    class Online:
        offline = False

        def use_artifact(self, name: str, type: str) -> None:  # noqa: A002 - as W&B calls it
            asked.append(name)
            raise ValueError("it was never copied")

    parent = parent and parent.format(runs=tmp_path)
    job = Job(str(tmp_path / "run"), "online", "x", "seed-1", parent, os.getpid(), 1.0)
    _use_parent(cast("Any", Online()), job)
    assert asked == ([artifact] if artifact else [])


def test_a_run_resumed_offline_is_made_whole_by_sync(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    logger, tracker = make_run(folder, "none")
    train(logger, range(1, 11))
    state = logger.state_dict()
    train(logger, range(11, 16))  # lost: it was killed before the next checkpoint
    logger, tracker = make_run(folder, "none")
    logger.load_state_dict(state)
    train(logger, range(11, 21))
    tracker.finish(RESULT)
    assert not (folder / "wandb").exists()  # --tracker none

    (folder / "result.json").write_text(json.dumps(RESULT))
    copy = read_back(Path(sync(folder)))
    assert [row["env_steps"] for row in copy["history"]] == list(range(10, 210, 10))
    assert (copy["run"]["run_id"], copy["run"]["run_group"]) == ("seed-1", "ppo-CartPole-v1")
    assert copy["summary"]["evaluation/return_mean"] == 489.5


def test_a_server_that_never_answers_costs_training_nothing_and_its_end_a_bounded_wait(
    tmp_path: Path, silent_server: None, capsys: pytest.CaptureFixture[str]
) -> None:
    logger, tracker = make_run(tmp_path / "run", "auto", finish_timeout_s=2)
    train(logger, range(1, 2))  # starts the copier
    begin = time.monotonic()
    train(logger, range(2, 1002))
    assert time.monotonic() - begin < 2
    begin = time.monotonic()
    tracker.finish(RESULT)
    assert time.monotonic() - begin < 4
    assert tracker.where is None
    (line,) = capsys.readouterr().err.splitlines()
    assert "no end after 2 s" in line
    assert f"sync {tmp_path / 'run'}" in line
    files = [file for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert not any(b"f" * 40 in file.read_bytes() for file in files)


def test_a_copier_that_dies_is_told_once_and_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger, tracker = make_run(tmp_path / "run", "online")  # nobody is logged in
    deadline = time.monotonic() + 60
    train(logger, range(1, 2))
    update, said = 2, ""
    while not said and time.monotonic() < deadline:
        train(logger, range(update, update + 1))
        update, said = update + 1, capsys.readouterr().err
        time.sleep(0.05)
    assert "not logged in; `wandb login`" in said
    train(logger, range(update, update + 5))
    tracker.finish(RESULT)
    assert capsys.readouterr().err == ""


def test_the_copier_of_a_killed_run_copies_what_there_is_and_ends(tmp_path: Path) -> None:
    script = f"""if True:
        import os, signal
        from pathlib import Path
        from tests.training.run.test_tracker import make_run, train
        logger, tracker = make_run(Path({str(tmp_path / "run")!r}), "offline")
        train(logger, range(1, 6))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    root = ROOT
    killed = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 60
    ended: list[Path] = []
    while not ended and time.monotonic() < deadline:
        time.sleep(0.2)
        ended = [log for log in (tmp_path / "run").rglob("debug-core.log") if "connections closed" in log.read_text()]
    copy = read_back(*offline_runs(tmp_path / "run"))
    assert len(copy["history"]) == 5
    assert copy["exit_code"] == [1]


def test_sync_refuses_a_folder_that_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no metrics\.jsonl"):
        sync(tmp_path)


def test_sync_says_in_one_line_why_it_failed(tmp_path: Path) -> None:
    logger, _ = make_run(tmp_path / "run", "none")
    train(logger, range(1, 3))
    with pytest.raises(UserError, match="not logged in"):
        sync(tmp_path / "run", "online")
