"""What is printed at the end of a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reports.run_end import print_end, print_measured
from training.diagnosis.finding import Finding


def test_measures_stand_in_columns_beside_the_best_checkpoints(capsys: pytest.CaptureFixture[str]) -> None:
    print_measured({"return": 12.34567, "length_mean": 3.0}, {"return": 20.0})
    assert capsys.readouterr().out == "return       12.3457  best checkpoint 20\nlength_mean  3\n"


def test_copies_and_why_it_is_not_exact_come_before_verdicts_and_the_folder_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result: dict[str, Any] = {
        "metrics": {"score": 1.0},
        "best": {},
        "counters": {"env_steps": 40_000, "updates": 7},
        "stopped_early": "it is enough",
        "inexact": ["it lost a worker"],
        "claims": [],
        "not_judged": {"score >= other": "judged by `verify`, which runs other on the same seeds"},
    }
    copies = [("wandb", "https://wandb.ai/x"), ("wandb", "wandb/offline"), ("tensorboard", "here/tb")]
    run: Any = SimpleNamespace(result=result, copies=copies, seed=1, folder=tmp_path)
    print_end(run, {})
    assert capsys.readouterr().out.splitlines() == [
        "score  1",
        "",
        "wandb: https://wandb.ai/x",
        f"wandb: offline copy in wandb/offline, send it with: make sync RUN={tmp_path}",
        "tensorboard: here/tb, look at it with: tensorboard --logdir here/tb",
        "stopped early at 40,000 env_steps: it is enough",
        "not exact: it lost a worker",
        "claim: score >= other: judged by `verify`, which runs other on the same seeds",
        f"run: {tmp_path}",
    ]
    assert not list(tmp_path.iterdir()), "what prints writes nothing"


def test_the_first_findings_are_told_and_how_to_see_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result: dict[str, Any] = {"metrics": {}, "best": {}, "counters": {}, "inexact": [], "claims": [], "not_judged": {}}
    found = [Finding(f"trouble {n}", "It is wrong.", "shown", ("another",), 0, 1, "updates") for n in range(5)]
    print_end(SimpleNamespace(result=result, copies=[], folder=tmp_path), {"01-clone": found})  # type: ignore[arg-type]
    told = capsys.readouterr().out
    assert told.count("diagnosis of 01-clone: trouble") == 3
    assert f"2 more: python -m experiments diagnose {tmp_path}" in told
