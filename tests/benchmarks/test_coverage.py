"""The coverage of the bounds: the rows agree with what is known of each."""

from __future__ import annotations

import pytest

from benchmarks import coverage
from tests.support import ROOT


def test_the_bound_of_a_mean_is_right_where_scores_are_normal() -> None:
    assert coverage.of_mean("normal", 5, draws=4_000).right == pytest.approx(0.95, abs=0.012)


def test_the_bound_of_a_mean_misses_a_collapse_that_no_seed_shows() -> None:
    """Five seeds show none of 15 % in 0.85 to the fifth, 44 % of all cases."""
    assert coverage.of_mean("mixed: 15 % of seeds collapse", 5, draws=4_000).right == pytest.approx(0.55, abs=0.03)


@pytest.mark.parametrize("share", [0.7, 0.85, 0.95])
def test_the_bound_of_a_share_is_never_right_less_often_than_it_says(share: float) -> None:
    assert coverage.of_success(share, 20, draws=4_000).right >= 0.94


def test_the_bound_of_an_interquartile_mean_is_right() -> None:
    assert coverage.of_iqm("normal", 20, draws=200).right == pytest.approx(0.95, abs=0.05)


@pytest.mark.full
def test_splits_of_one_data_set_need_the_correction() -> None:
    plain, corrected = (coverage.of_splits(5, corrected=corrected, draws=60).right for corrected in (False, True))
    assert plain < corrected


def test_the_page_is_the_one_that_the_table_makes() -> None:
    written = (ROOT / coverage.PAGE).read_text()
    rows = written[written.index(coverage.HEADER) :].partition("\n\n")[0] + "\n"
    assert coverage.page(rows) == written
    assert coverage.table([coverage.Row("mean", "normal", 5, 0.9512)]) == (
        coverage.HEADER + "| mean | normal | 5 | 95.1 % | 4.9 % |\n"
    )
