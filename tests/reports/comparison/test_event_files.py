"""Event files as CleanRL writes them, with torch's own writer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

from reports.comparison.event_files import is_event_file, read
from training.errors import UserError

ARGS = {"exp_name": "ppo", "seed": "3", "env_id": "CartPole-v1", "total_timesteps": "1000"}


def cleanrl(folder: Path, *, scalars: bool = True) -> Path:
    """What CleanRL's ppo.py logs: its arguments as a table, and a scalar for each episode."""
    with SummaryWriter(str(folder)) as writer:
        rows = "\n".join(f"|{name}|{value}|" for name, value in ARGS.items())
        writer.add_text("hyperparameters", f"|param|value|\n|-|-|\n{rows}")
        for step in range(10, 1010, 10) if scalars else ():
            writer.add_scalar("charts/episodic_return", step / 10, step)
            writer.add_scalar("losses/value_loss", float("nan") if step < 500 else 1.0, step)
    (file,) = folder.iterdir()
    return file


def test_scalars_and_hyperparameters_are_read(tmp_path: Path) -> None:
    file = cleanrl(tmp_path)
    assert is_event_file(file.read_bytes())
    curves, told = read(file)
    assert told == ARGS
    assert curves["charts/episodic_return"].steps[:2].tolist() == [10, 20]
    assert curves["charts/episodic_return"].values[-1] == 100.0
    assert curves["charts/episodic_return"].seconds[0] >= 0
    assert curves["losses/value_loss"].steps[0] == 500


def test_a_step_that_was_written_twice_counts_as_it_was_last(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for value in (1.0, 2.0):
            writer.add_scalar("loss", value, 5)
    (file,) = tmp_path.iterdir()
    assert read(file)[0]["loss"].values.tolist() == [2.0]


def test_what_holds_no_scalars_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no scalars"):
        read(cleanrl(tmp_path, scalars=False))
    assert not is_event_file(b"r,l,t")


def test_without_tensorboard_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing.event_file_loader", None)
    with pytest.raises(UserError, match="tensorboard"):
        read(cleanrl(tmp_path))
