"""Pieces of text as hashed words."""

from __future__ import annotations

import numpy as np

from training.data.snippets import with_pairs


def test_pairs_of_words_are_hashed_beside_the_words() -> None:
    found = with_pairs(np.array([3, 5, 3, 5, 7]), 1000)
    assert found[:, 0].tolist() == [3, 5, 3, 5, 7]
    assert found[0, 1] == 0
    assert found[1, 1] == found[3, 1]  # 3 before 5, twice
    assert len({*found[1:, 1].tolist()}) == 3  # in order: 5 before 3 is another
