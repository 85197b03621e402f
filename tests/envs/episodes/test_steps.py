"""The steps of a recorded dataset as samples, each with its episode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from envs.episodes.steps import minari_steps
from tests.support.datasets import SPACES, buffer, write


@pytest.mark.parametrize("nested", [False, True])
def test_every_step_is_a_sample_of_its_episode(nested: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    own, parts = SPACES, [buffer(2), buffer(3)]
    if nested:
        own = spaces.Dict({"place": SPACES[0]}), SPACES[1]
        parts = [buffer(steps, observations={"place": buffer(steps).observations}) for steps in (2, 3)]
    write("two-v0", *parts, own=own)
    data = minari_steps("two-v0")
    assert data.array("group").tolist() == [0, 0, 1, 1, 1]
    seen = data.array("input/place" if nested else "input")
    assert seen.tolist() == [[0, 1], [2, 3], [0, 1], [2, 3], [4, 5]]  # without the last observations
    np.testing.assert_allclose(data.array("target")[:, 0], [-2, 2, -2, 0, 2])


def test_discrete_actions_are_classes_by_their_own_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    own = SPACES[0], spaces.Discrete(4, start=5)
    write("two-v0", buffer(2, actions=np.array([5, 7])), own=own)
    data = minari_steps("two-v0")
    assert data.array("target").tolist() == [0, 2]
    assert data.labels == ("5", "6", "7", "8"), "the last of which nobody chose"
    assert data.spaces["target"] == spaces.Discrete(4)


def test_actions_of_several_numbers_are_no_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    own = SPACES[0], spaces.MultiDiscrete([2, 3], start=[5, 0])
    write("two-v0", buffer(2, actions=np.array([[5, 2], [6, 0]])), own=own)
    data = minari_steps("two-v0")
    assert "target" not in data.arrays
    assert data.array("input").shape == (2, 2)
