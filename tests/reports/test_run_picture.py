"""The picture of a run for a terminal of any size."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from reports.run_picture import picture
from reports.watched import Seen, Series
from training.diagnosis.finding import Finding
from training.run.progress import Progress

PROGRESS = Progress(0.0, 40_000, 100_000, "env_steps", 812.0, 65.0, "evaluating: 3/20 episodes", [])
FINDING = Finding(
    "policy stays random", "It chooses as at first.", "Its entropy.", ("--a 1 (now 2)",), 0, 9, "env_steps"
)


def series(*points: tuple[float, float]) -> Series:
    made = Series()
    for point in points:
        made.add(*point)
    return made


def seen(**changes: Any) -> Seen:
    told = Seen(
        folder=Path("runs/ppo_cartpole/20260101T000000Z-seed1-ab12"),
        settings={
            "experiment": "ppo_cartpole",
            "seed": 1,
            "config": {"env": {"id": "CartPole-v1"}, "env_steps": 100_000},
        },
        stage="",
        status="running",
        unit="env_steps",
        done=40_000,
        total=100_000,
        progress=replace(PROGRESS, at=time.time()),
        latest={
            "env_steps": 40_000,
            "rollout/return_mean": 123.456,
            "evaluation/return_mean": 200.0,
            "value/loss": 0.5,
        },
        timing={"wall_time_s": 50.0, "env_steps_per_second": 790.0},
        series={
            "rollout/return_mean": series(*((1000.0 * n, n * n) for n in range(1, 40))),
            "evaluation/return_mean": series((20_000, 500.0), (40_000, 1500.0)),
            "evaluation/return_std": series((20_000, 100.0), (40_000, 20.0)),
        },
        inexact=(),
        findings=(),
        result={},
    )
    return told._replace(**changes)


def shown(what: Seen, width: int = 120, height: int = 30) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, force_terminal=False)
    console.print(picture(what, width, height))
    return file.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize("width", [20, 40, 60, 90, 120, 200])
@pytest.mark.parametrize("height", [8, 15, 24, 50])
@pytest.mark.parametrize("findings", [(), (FINDING,) * 4])
def test_it_fits_into_any_terminal(width: int, height: int, findings: tuple[Finding, ...]) -> None:
    lines = shown(seen(findings=findings), width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_it_tells_how_far_the_run_is_what_it_measures_and_what_is_wrong() -> None:
    text = "\n".join(shown(seen(findings=(FINDING,))))
    for words in (
        "ppo_cartpole  seed 1  CartPole-v1  running  exact",
        "40%  ETA 1:0", "40.0k/100k steps", "812 env steps/s", "evaluating: 3/20 episodes",
        "rollout/return_mean  evaluation/return_mean", "123.456", "value/loss",
        "diagnosis: policy stays random: It chooses as at first.", "  try --a 1 (now 2)",
    ):  # fmt: skip
        assert words in text, words


def test_a_narrow_terminal_gets_the_eta_and_the_curves() -> None:
    lines = shown(seen(), 40, 24)
    assert "ETA" in lines[1]
    assert any(0x2800 < ord(one) < 0x2900 for line in lines for one in line)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inexact": ("it draws from elsewhere",)}, "not exact: it draws from elsewhere"),
        ({"there": False, "progress": None}, "is not there any more"),
        ({"findings": None}, "python -m experiments diagnose runs/"),
        ({"progress": replace(PROGRESS, seconds_left=None)}, "ETA –"),
        ({"stage": "02-clone"}, "stage 02-clone"),
        ({"status": "completed", "progress": None, "result": {"wall_time_s": 65.0}}, "in 1:05"),
        (
            {"status": "completed", "progress": None, "result": {"stopped_early": "it was good"}},
            "stopped early: it was",
        ),
        ({"latest": {}, "series": {}, "progress": None, "done": 0}, "no row yet"),
        ({"total": None, "progress": None}, "40.0k steps"),
    ],
)
def test_it_says_what_is_out_of_the_ordinary(changes: dict[str, Any], words: str) -> None:
    assert words in "\n".join(shown(seen(**changes)))


def test_a_run_from_data_has_curves_of_its_loss_and_of_what_it_is_judged_by() -> None:
    curves = {
        "optimizer/loss": series((1, 3.0), (2, 1.0)),
        "validation/accuracy": series((2, 0.5)),
        "validation/f1_macro": series((2, 0.4)),
    }
    text = "\n".join(shown(seen(series=curves, unit="epochs", done=2, total=4)))
    assert " optimizer/loss " in text
    assert " validation/accuracy " in text
    assert " validation/f1_macro " not in text


def test_a_curve_without_a_finite_value_is_left_out() -> None:
    curves = {"rollout/return_mean": series((1, float("nan")), (2, float("inf")))}
    assert len(shown(seen(series=curves))) <= 30


def test_names_are_shown_as_they_are() -> None:
    settings = {"experiment": "[red]a[/red]", "seed": 1, "config": {}}
    assert "[red]a[/red]" in shown(seen(settings=settings))[0]
