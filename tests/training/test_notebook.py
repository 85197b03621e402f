"""What a notebook shows of progress, in a kernel as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.notebooks import execute, of_cells, printed
from training.notebook import in_notebook

PROGRESS = """
from training.core import Budget, Counters
from training.run import console
from training.run.forecast import Forecast
console.LIVE_INTERVAL_S = 0.0
forecast = Forecast(Budget(10_000))
with console.Console("<ppo>") as line:
    for row in range(1, 201):
        forecast.trained(float(row), Counters(env_steps=50 * row))
        line.update(forecast, {"rollout/return_mean": 412.34})
        line.show("evaluating")
        line.show("")
"""


def test_progress_is_one_line_of_which_the_last_state_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_progress, silent = execute(
        of_cells(PROGRESS, "with console.Console('ppo'):\n    print('nothing to show')"), tmp_path, monkeypatch
    )
    (line,) = with_progress
    assert line.data["text/plain"] == "<ppo>  100%  10.0k/10.0k steps  return 412.3"  # no rate and no ETA
    assert "&lt;ppo&gt;  100%" in line.data["text/html"]
    assert '<progress value="1.000" max="1">' in line.data["text/html"]
    assert [one.output_type for one in silent] == ["stream"]
    assert printed(silent) == "nothing to show\n"


def test_a_script_is_no_notebook() -> None:
    assert not in_notebook()
