"""The copy of a run for TensorBoard, as TensorBoard's own reader finds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import metadata as hparams

from tests.support import ROOT
from tests.support.tracked import RESULT, Learned, end, files_of_at_most, make_run, train
from training.core import Counters, Every
from training.run.checkpoint import Checkpoint
from training.run.tracker import Job, Target, sync

pytestmark = pytest.mark.usefixtures("logged_out")


def read(folder: Path, size: int = 0) -> EventAccumulator:
    return EventAccumulator(str(folder), {"scalars": size, "tensors": size, "histograms": size}).Reload()


def test_every_row_the_config_the_result_and_the_hyperparameters_are_in_one_event_file(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    logger, tracker = make_run(folder, "tensorboard")
    train(logger, range(1, 31))
    end(folder, tracker)
    assert tracker.copies == [("tensorboard", str(folder / "tensorboard"))]
    (file,) = (folder / "tensorboard").iterdir()
    copy = read(file)
    loss = copy.Scalars("loss")
    assert [event.step for event in loss] == list(range(10, 310, 10))
    assert [event.value for event in loss] == pytest.approx([1 / update for update in range(1, 31)])
    assert all(np.isnan(event.value) for event in copy.Scalars("broken"))
    assert [event.wall_time for event in loss] == sorted(event.wall_time for event in loss)
    assert '"learning_rate": 0.0003' in copy.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    (score,) = copy.Scalars("final/evaluation/return_mean")
    assert score.value == RESULT["metrics"]["evaluation/return_mean"]
    told = copy.SummaryMetadata(hparams.SESSION_START_INFO_TAG).plugin_data.content
    values = hparams.parse_session_start_info_plugin_data(told).hparams
    assert values["agent.learning_rate"].number_value == 3e-4
    assert not (folder / "wandb").exists()


def test_a_resumed_run_has_no_step_twice_in_its_event_files(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    logger, tracker = make_run(folder, "tensorboard")
    train(logger, range(1, 11))
    state = logger.state_dict()
    train(logger, range(11, 16))  # lost: it is killed before the next checkpoint
    tracker.finish()
    watching = read(folder / "tensorboard")
    assert watching.Scalars("loss")[-1].step == 150
    logger, tracker = make_run(folder, "tensorboard")
    logger.load_state_dict(state)
    train(logger, range(11, 13))
    end(folder, tracker)
    (file,) = (folder / "tensorboard").iterdir()
    events = [event for event in EventFileLoader(str(file)).Load() if event.HasField("summary")]
    steps = [event.step for event in events if event.summary.value[0].tag == "loss"]
    assert steps == list(range(10, 130, 10))


def test_the_copier_of_a_run_that_is_gone_already_leaves_the_copy_of_the_resumed_one_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    logger, tracker = make_run(folder, "tensorboard")
    train(logger, range(1, 3))
    end(folder, tracker)
    (file,) = (folder / "tensorboard").iterdir()
    late = Job(str(folder), Target("tensorboard"), "x", "seed-1", None, training_process=1, seconds_left=1.0)
    command = [sys.executable, "-m", "training.run.copier", json.dumps(asdict(late))]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert json.loads(done.stdout) == {"error": "RuntimeError: the run was gone before its copy began"}
    assert list((folder / "tensorboard").iterdir()) == [file]


def test_the_weights_and_gradients_of_each_checkpoint_are_histograms_on_request(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    logger, tracker = make_run(folder, "tensorboard+histograms")
    checkpoint = Checkpoint(folder / "checkpoints", {"agent": Learned()}, every=Every(10))
    for update in (1, 2):
        train(logger, range(update, update + 1))
        checkpoint.save(Counters(env_steps=10 * update, updates=update))
    end(folder, tracker)
    copy = read(folder / "tensorboard")
    assert set(copy.Tags()["histograms"]) == {
        "weights/agent.policy.weights.0.weight",
        "gradients/agent.moments.0.weight",
    }
    events = copy.Histograms("weights/agent.policy.weights.0.weight")
    assert [event.step for event in events] == [10, 20]
    shown = events[0].histogram_value
    assert (shown.num, shown.min, shown.max) == (2, 1.0, 2.0), "the one that is no number is left out"


def test_a_copy_on_a_full_disk_is_told_in_one_line_and_made_by_sync_once_there_is_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    logger, tracker = make_run(folder, "tensorboard")
    with files_of_at_most(4096):
        train(logger, range(1, 2))  # starts the copier
    train(logger, range(2, 501))
    end(folder, tracker)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("TensorBoard: OSError: [Errno 27] File too large")
    assert line.endswith(f"`python -m experiments sync {folder} --tracker tensorboard` copies all of it.")
    assert sync(folder, "tensorboard") == str(folder / "tensorboard")
    assert len(read(folder / "tensorboard").Scalars("loss")) == 500
    assert len(os.listdir(folder / "tensorboard")) == 1
