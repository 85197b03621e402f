"""The command line on runs that learn from data: mistakes are one line and exit code 2, before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.data import breast_cancer_mlp
from training.data.sources import sklearn_dataset

SHORT = ("--epochs", "2")


def train(folder: Path, *budget: str) -> int:
    options = ["--threads", "1", "--tracker", "none", *(budget or SHORT)]
    return main(["train", "breast_cancer_mlp", "--run-dir", str(folder), *options])


def test_a_run_is_extended_by_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train(Path("run"), "--epochs", "None", "--steps", "5") == 0
    assert main(["resume", "run", "--steps", "5"]) == 2
    assert "error: a budget of 5 updates: it takes more than the 5 that run has done" in capsys.readouterr().err
    assert main(["resume", "run", "--steps", "8"]) == 0
    (child,) = Path("runs/breast_cancer_mlp").iterdir()
    assert json.loads((child / "result.json").read_text())["counters"]["updates"] == 8


def test_a_run_has_no_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run") == 0
    assert "claim: best test/auc >= 0.98" in capsys.readouterr().out
    for command in ("evaluate", "record"):
        assert main([command, str(tmp_path / "run")]) == 2
        assert "learned from data and has no policy to play with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("missing", "error: sklearn breast_cancer: column 'mean texture' is missing in"),
        ("constant", "error: sklearn breast_cancer: column 'mean texture' is constant in the training split"),
        ("repeated", "error: sklearn breast_cancer leaks: 1 inputs are in"),
        ("absent", "error: sklearn breast_cancer: class 1 (benign) is absent from the training split"),
    ],
)
def test_bad_data_are_one_line_and_leave_no_run(
    spoil: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = sklearn_dataset("breast_cancer")
    values, target = data.arrays["input"], data.arrays["target"]
    if spoil == "missing":
        values[7, 1] = np.nan
    elif spoil == "constant":
        values[:, 1] = 1.0
    elif spoil == "repeated":
        values[1:300:3] = values[0]
        values[1:300:3, 0] = np.arange(100)
        values[[0, 1]] = values[2]
        values[400] = values[401] = values[402] = values[403] = values[404] = values[2]
    else:
        target[:] = 0
    monkeypatch.setattr(breast_cancer_mlp, "sklearn_dataset", lambda _: data)
    assert train(tmp_path / "run") == 2
    captured = capsys.readouterr().err.strip().splitlines()[-1]
    assert captured.startswith(told)
    assert not (tmp_path / "run").exists()
