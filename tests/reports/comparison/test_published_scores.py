"""The tables are whole, and their ends are in order."""

from __future__ import annotations

from reports.comparison.published_scores import ATARI, ATARI_SOURCE, MUJOCO, MUJOCO_SOURCE


def test_atari_has_57_games_and_every_reference_is_better_than_random_play() -> None:
    assert len(ATARI) == 57
    assert all(low < high for low, high in [*ATARI.values(), *MUJOCO.values()])
    assert "https://" in ATARI_SOURCE
    assert "https://" in MUJOCO_SOURCE
