"""Learning from one's own completions: what a run measures, what is written by its model, and mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.language.grpo_countdown import Config
from tests.finetuning.test_grpo import RESUMED
from tests.support.counting import result_of


def test_a_run_goes_through_its_stages_and_its_model_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "run")
    options = RESUMED["grpo_countdown"]
    assert main(["train", "grpo_countdown", *options, "--tracker", "none", "--run-dir", folder]) == 0
    result = result_of(folder)
    assert result["counters"]["samples"] > 0
    for stage in ("sft", "rejection", "continued", "grpo"):
        assert 0 <= result["metrics"][f"{stage}/greedy_accuracy"] <= 1
    assert "comparison/points_over_sft" in result["metrics"]
    capsys.readouterr()
    assert main(["sample", folder, "--prompt", "3,7,9>30:", "--temperature", "0"]) == 0
    assert capsys.readouterr().out.startswith("3,7,9>30:")
    assert main(["sample", folder, "--prompt", "three"]) == 2
    assert capsys.readouterr().err.startswith("error: prompt = 'three': the tokenizer knows no 'e': its characters are")


def test_a_minibatch_is_of_an_iteration(capsys: pytest.CaptureFixture[str]) -> None:
    assert Config().minibatch_size <= Config().completions.prompts
    assert main(["train", "grpo_countdown", "--minibatch-size", "64"]) == 2
    assert "minibatch_size = 64: it takes at most completions.prompts = 32" in capsys.readouterr().err
