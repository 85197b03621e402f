"""The sum tree: rows are found by their share of the total."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.replay.sum_tree import SumTree


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=70), st.integers(0, 2**32))
def test_a_sum_tree_finds_rows_by_their_share(values: list[float], seed: int) -> None:
    tree = SumTree(len(values))
    tree.set(np.arange(len(values)), np.array(values))
    assert tree.total == pytest.approx(sum(values))
    if tree.total == 0:
        return
    mass = np.random.default_rng(seed).uniform(0, tree.total, 50)
    ends = np.cumsum(values)
    found = tree.find(mass)
    for row, at in zip(found, mass, strict=True):
        assert values[row] > 0
        assert ends[row] - values[row] - 1e-6 <= at <= ends[row] + 1e-6
    again = SumTree(len(values))
    again.load(tree.values)
    np.testing.assert_array_equal(again._sums, tree._sums)


def test_the_last_of_two_values_for_a_row_counts() -> None:
    tree = SumTree(5)
    tree.set(np.array([1, 3, 1]), np.array([5.0, 2.0, 4.0]))
    assert tree.total == 6.0
    np.testing.assert_array_equal(tree.values, [0, 4, 0, 2, 0])
