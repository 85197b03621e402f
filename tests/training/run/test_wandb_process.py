"""The copy of a run in Weights & Biases, as wandb's own reader finds it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from experiments.offline import bc_pendulum
from tests.support import ROOT
from tests.support.tracked import CONFIG, Learned, end, files_of_at_most, make_run, offline_runs, read_back, train
from tests.support.wandb_server import wandb_server
from training.core import Counters, Every
from training.errors import UserError
from training.metrics import Last
from training.options import config_to_tree
from training.run.checkpoint import Checkpoint, read_state
from training.run.folder import find_checkpoint, read_settings
from training.run.provenance import source_hash
from training.run.tracker import Job, Target, sync
from training.run.wandb_options import WandbOptions
from training.run.wandb_process import _group, _name, _use_parent

pytestmark = pytest.mark.usefixtures("logged_out")


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
    end(tmp_path / "run", tracker)
    (offline_run,) = offline_runs(tmp_path / "run")
    run = read_back(offline_run)["run"]
    heeded = {"project": "mine", "run_group": "group", "display_name": "name", "entity": "us", "notes": "note"}
    heeded |= {"job_type": "job", "run_id": "seed-1"}
    assert {name: run.get(name) for name in heeded} == heeded
    assert run["tags"] == ["a", "b"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_is_asked_for_wins_over_the_variables_and_is_kept_for_whoever_copies_the_run_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = WandbOptions(project="asked", entity="team", group="pair", name="mine", tags=("x,y",), notes="why")
    for name in ("PROJECT", "ENTITY", "RUN_GROUP", "NAME", "TAGS", "NOTES", "JOB_TYPE"):
        monkeypatch.setenv(f"WANDB_{name}", "variable")
    logger, tracker = make_run(tmp_path / "run", "offline", wandb=asked.given, stage="01-clone")
    train(logger, range(1, 3))
    end(tmp_path / "run", tracker)
    wanted = {"project": "asked", "entity": "team", "run_group": "pair", "display_name": "mine-01-clone"}
    wanted |= {"tags": ["x", "y"], "notes": "why", "job_type": "variable"}
    for copy in (offline_runs(tmp_path / "run")[0], Path(sync(tmp_path / "run", "offline"))):
        run = read_back(copy)["run"]
        assert {name: run.get(name) for name in wanted} == wanted


def finished_run(folder: Path, asked: str, **settings: Any) -> dict[str, Any]:
    """The copy of a run that was evaluated twice, saved two checkpoints, the first being the best, and has a video."""
    logger, tracker = make_run(folder, asked, **settings)
    checkpoint = Checkpoint(folder / "checkpoints", {"agent": Learned(), "stream": Learned()}, every=Every(10))
    for update in (1, 2):
        logger.add({"evaluation/return_mean": Last(100.0 / update)})
        train(logger, range(update, update + 1))
        now = Counters(env_steps=10 * update, updates=update)
        checkpoint.score(100.0 / update, now)
        saved = checkpoint.save(now)
    (folder / "videos").mkdir()
    (folder / "videos" / "walk.mp4").write_bytes(b"moving pictures")
    counters = {"env_steps": 20, "updates": 2}
    end(folder, tracker, checkpoint=str(saved.relative_to(folder)), counters=counters)
    (offline_run,) = offline_runs(folder)
    return read_back(offline_run) | {"files": offline_run / "files"}


def contents(copy: dict[str, Any], kind: str) -> dict[str, Path]:
    """The paths in the artifact of a kind, and where the files wait to be sent."""
    (artifact,) = [artifact for artifact in copy["artifacts"] if artifact["type"] == kind]
    return {entry["path"]: Path(entry["local_path"]) for entry in artifact["manifest"]["contents"]}


def test_a_finished_run_has_its_evaluations_its_videos_and_the_manifest_of_its_checkpoint(tmp_path: Path) -> None:
    copy = finished_run(tmp_path / "run", "offline")
    last = copy["history"][-1]
    (table,) = copy["files"].glob("media/table/evaluations_*.json")
    assert json.loads(table.read_text()) == {
        "columns": ["when", "env_steps", "evaluation/return_mean"],
        "data": [
            ["training", 10, 100.0],
            ["training", 20, 50.0],
            ["final", 20, 489.5],
            ["best checkpoint", None, 500.0],
        ],
    }
    assert last["_step"] == 2
    (video,) = copy["files"].glob("media/videos/**/*.mp4")
    assert video.read_bytes() == b"moving pictures"
    checkpoint = contents(copy, "checkpoint")
    assert list(checkpoint) == ["manifest.json"]
    assert checkpoint["manifest.json"] == tmp_path / "run/checkpoints/0000000002/manifest.json", "without a copy"
    assert {artifact["type"] for artifact in copy["artifacts"]} == {"checkpoint", "run_table"}
    assert "weights" not in str(copy["history"]), "nobody asked for histograms"
    left = [path for path in (tmp_path / "run/wandb").rglob("*") if path.is_dir() and not any(path.iterdir())]
    assert left == [], "no empty folders"


def test_weights_histograms_and_code_are_there_where_they_are_asked_for(tmp_path: Path) -> None:
    tree = config_to_tree(bc_pendulum.Config())
    more = {"experiment": "bc_pendulum", "config": tree, "source_hash": source_hash("bc_pendulum", tree)}
    copy = finished_run(tmp_path / "run", "offline+weights+histograms+code", **more)
    shown = {name: value for row in copy["history"] for name, value in row.items() if "agent" in name}
    assert {name.rpartition(".")[0] for name in shown} == {
        "weights/agent.policy.weights.0.weight",
        "gradients/agent.moments.0.weight",
    }
    assert sum(shown["gradients/agent.moments.0.weight.values"]) == 4
    own = tmp_path / "downloaded"
    for name, waiting in contents(copy, "checkpoint").items():
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(waiting, own / name)
    assert not list(own.rglob("stream.*"))
    assert read_settings(own)["id"] == "seed-1"
    for which, name in (("last", "0000000002"), ("best", "0000000001")):
        found = find_checkpoint(own, which)
        assert found.name == name
        assert torch.equal(read_state(found, "agent")["moments"]["0.weight"]["exp_avg"], torch.ones(4))
    code = contents(copy, "source")
    assert "experiments/offline/bc_pendulum.py" in code
    assert (ROOT / "training/fit.py").read_bytes() == code["training/fit.py"].read_bytes()
    assert code["training/fit.py"].is_relative_to(tmp_path / "run"), "what may change until it is sent is copied"


def test_code_that_is_no_longer_that_of_the_run_is_not_sent(tmp_path: Path) -> None:
    copy = finished_run(tmp_path / "run", "offline+code")
    assert {artifact["type"] for artifact in copy["artifacts"]} == {"checkpoint", "run_table"}
    assert copy["summary"]["code"] == "not sent: it is no longer what the run was trained with"


def test_the_seeds_of_one_configuration_are_a_group(tmp_path: Path) -> None:
    settings = {"config": {"seed": 1, "agent": {"horizon": 64}}}
    group = _group(settings, "ppo_cartpole")
    assert group.startswith("ppo_cartpole-")
    assert _group({"config": {"agent": {"horizon": 64}, "seed": 2}}, "ppo_cartpole") == group
    assert _group({"config": {"agent": {"horizon": 32}, "seed": 1}}, "ppo_cartpole") != group


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
    job = Job(str(tmp_path / "run"), Target("wandb", "online"), "x", "seed-1", parent, os.getpid(), 1.0)
    _use_parent(cast("Any", Online()), job)
    assert asked == ([artifact] if artifact else [])


def test_a_copy_that_is_turned_off_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    logger, tracker = make_run(tmp_path / "run", "auto")
    train(logger, range(1, 5))
    end(tmp_path / "run", tracker)
    assert tracker.copies == []
    assert not (tmp_path / "run/wandb").exists()
    with pytest.raises(UserError, match="WANDB_MODE = 'disabled': a copy takes 'online' or 'offline'"):
        sync(tmp_path / "run")


def test_a_run_that_is_resumed_online_and_sent_again_has_every_row_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, plain = tmp_path / "run", {"metrics": {}, "best": {}}
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("WANDB_API_KEY", "f" * 40)
        logger, tracker = make_run(folder, "online")
        train(logger, range(1, 11))
        state = logger.state_dict()
        train(logger, range(11, 14))  # lost: they are trained again, to the same bits
        end(folder, tracker, status="interrupted", **plain)
        assert len(server.rows) == 13
        logger, tracker = make_run(folder, "online")
        logger.load_state_dict(state)
        train(logger, range(11, 21))
        end(folder, tracker, **plain)
        assert tracker.copies == [("wandb", f"{server.address}/us/regimen/runs/seed-1")]
        assert sync(folder, "online") == tracker.copies[0][1]
        assert [server.rows[place]["env_steps"] for place in sorted(server.rows)] == list(range(10, 210, 10))
    assert not (folder / "wandb/artifacts").exists(), "nothing waits to be sent any more"


def test_what_a_broken_server_did_not_take_is_sent_once_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("WANDB_API_KEY", "f" * 40)
        server.broken = True
        logger, tracker = make_run(tmp_path / "run", "auto", finish_timeout_s=3)
        train(logger, range(1, 21))
        end(tmp_path / "run", tracker, metrics={}, best={})
        assert capsys.readouterr().err.startswith("W&B: ")
        assert server.rows == {}
        server.broken = False
        assert sync(tmp_path / "run").startswith(server.address)
        assert len(server.rows) == 20


def test_an_offline_copy_that_the_disk_cut_short_is_not_taken_for_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger, tracker = make_run(tmp_path / "run", "offline")
    with files_of_at_most(20_000):
        train(logger, range(1, 2))  # starts the copier
    train(logger, range(2, 201))
    end(tmp_path / "run", tracker)
    (line,) = capsys.readouterr().err.splitlines()
    assert "ends before the run does: the disk may be full. The run is complete without it" in line
    assert tracker.copies == []
    assert len(read_back(Path(sync(tmp_path / "run", "offline")))["history"]) == 201


def test_an_identity_is_spelled_in_the_letters_that_wandb_takes() -> None:
    assert _name("20260101T000000Z-seed1-ab12-01-pre train/é") == "20260101T000000Z-seed1-ab12-01-pre-train-é"


def screen_of(command: list[str], awaited: bytes, limit_s: float = 90.0) -> bytes:
    """What a program draws on a terminal of 40 lines until the awaited word is on it."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    drawn = b""
    with subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True
    ) as viewer:
        os.close(its)
        deadline = time.monotonic() + limit_s
        try:
            while awaited not in drawn and time.monotonic() < deadline:
                if select.select([ours], [], [], 1.0)[0]:
                    drawn += os.read(ours, 65536)
        finally:
            os.killpg(viewer.pid, signal.SIGKILL)  # the viewer has a process of its own
            os.close(ours)
    return re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", drawn)


@pytest.mark.parametrize("place", ["wandb", pytest.param("wandb/offline-run-*", marks=pytest.mark.full)])
def test_the_viewer_of_wandb_opens_an_offline_copy_in_a_terminal(place: str, tmp_path: Path) -> None:
    logger, tracker = make_run(tmp_path / "run", "offline")
    train(logger, range(1, 4))
    end(tmp_path / "run", tracker)
    (path,) = (tmp_path / "run").glob(place)
    drawn = screen_of([sys.executable, "-m", "wandb", "leet", str(path)], b"env_steps")
    assert b"env_steps" in drawn, drawn[-500:]
