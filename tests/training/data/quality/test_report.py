"""The whole report, and what it does before training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.data import clouds
from training.data.quality.report import MOST_ROWS, REPORT, check, examine
from training.data.sources import of_arrays, sklearn_dataset
from training.errors import UserError


def test_nothing_is_invented_in_clean_data() -> None:
    for data in (clouds(), sklearn_dataset("wine"), sklearn_dataset("digits").select(np.arange(600))):
        assert examine(data).wrong == []


def test_rows_are_those_of_all_data_where_a_sample_was_looked_at() -> None:
    table = np.random.default_rng(0).normal(size=(MOST_ROWS + 200, 3)).astype(np.float32)
    table[:2_000] = table[:2_000].round(1)
    table[7], target = np.nan, np.zeros(len(table), np.float32)
    report = examine(of_arrays(table, target + table[:, 0], "much"))
    holes = next(finding for finding in report.findings if finding.kind == "missing")
    assert list(holes.rows) == [7]
    assert "5,000 drawn at random" in report.looked_at


def test_before_training_the_report_is_written_told_and_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = clouds()
    table = splits.train.array("input").copy()
    table[:, 1] = 3.0
    spoilt = splits._replace(train=of_arrays(table, splits.train.array("target"), "clouds"))
    check(spoilt, "none", tmp_path)
    assert not (tmp_path / REPORT).exists()
    check(splits, "refuse", tmp_path / ".")
    (tmp_path / REPORT).unlink()
    check(spoilt, "warn", tmp_path)
    assert "wrong: constant, input 1: every value is 3" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"clouds: constant, input 1: every value is 3.*quality = 'warn' trains"):
        check(spoilt, "refuse", tmp_path)


def test_images_may_have_constant_pixels() -> None:
    digits = sklearn_dataset("digits").select(np.arange(500))
    assert examine(replace(digits)).kinds == set()
