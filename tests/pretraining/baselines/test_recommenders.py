"""Recommenders: each knows what goes together, and is tuned by what was liked later."""

from __future__ import annotations

import numpy as np
import pytest

from pretraining.baselines.recommenders import als, best_baselines, ease, item_neighbours, popularity
from pretraining.recommend import list_measures


def tastes(users: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Two groups with films of their own: what each liked, and what it liked later."""
    rng = np.random.default_rng(0)
    group = np.arange(users)[:, None] % 2 == np.arange(40)[None] % 2
    all_liked = rng.random((users, 40)) < np.where(group, 0.5, 0.02)
    later = all_liked & (rng.random((users, 40)) < 0.3)
    return all_liked & ~later, later


def test_they_are_ahead_of_popularity() -> None:
    liked, later = tastes()

    def ndcg(scores: np.ndarray) -> float:
        return float(list_measures(scores, liked, later)[0].mean())

    plain = ndcg(popularity(liked)(liked))
    assert ndcg(item_neighbours(liked, neighbours=20, shrink=1.0)(liked)) > plain + 0.1
    assert ndcg(ease(liked, penalty=20.0)(liked)) > plain + 0.1
    pytest.importorskip("implicit")
    assert ndcg(als(liked, factors=4, alpha=5.0)(liked)) > plain + 0.1


def test_ease_says_nothing_of_a_film_by_itself() -> None:
    liked = np.eye(3, dtype=np.bool_)
    assert np.abs(np.diag(ease(liked, penalty=1.0)(liked))).max() == 0.0


def test_neighbours_that_are_far_do_not_count() -> None:
    liked = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1]], np.bool_)
    near, all_of_them = (item_neighbours(liked, neighbours=count, shrink=0.0)(liked) for count in (1, 3))
    assert near[2, 1] > 0  # 1 goes with 0
    assert near[2, 0] == 0 < all_of_them[2, 0]  # the nearest of 0 is 1, which the last user does not know


def test_settings_are_chosen_by_what_was_liked_later() -> None:
    liked, later = tastes()
    grids = {"ease": (ease, ({"penalty": 1e6}, {"penalty": 20.0}))}
    assert best_baselines(liked, later, grids)["ease"][0] in grids["ease"][1]
    assert set(best_baselines(liked, later, {"popularity": (popularity, ({},))})) == {"popularity"}
