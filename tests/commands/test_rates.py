"""`rates`: one short run over a range of learning rates, and the rate that its curve suggests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.__main__ import main


def test_the_command_writes_the_curve_and_suggests_a_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["rates", "breast_cancer_mlp", "--run-dir", str(tmp_path / "run"), "--tracker", "none", "--updates", "60"]
    assert main([*argv, "--threads", "1"]) == 0
    assert "suggested learning rate: " in capsys.readouterr().out
    curve = json.loads((tmp_path / "run" / "learning_rates.json").read_text())
    assert curve["rates"][0] == pytest.approx(1e-6)
    assert 1e-5 < curve["suggested"] < 0.1
    assert (tmp_path / "run" / "learning_rates.svg").exists()
    assert main(["rates", "ppo_cartpole"]) == 2
