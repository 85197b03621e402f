"""From what a policy computes to what an environment takes."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from envs.actions import ToBounds

low, high = np.float32([-2.0, 0.0, -np.inf]), np.float32([6.0, 0.1, np.inf])


def test_actions_are_rescaled_and_clipped_and_unbounded_entries_left_alone() -> None:
    to_bounds = ToBounds(spaces.Box(low, high), rescale=True)
    actions = np.array([[-1, -1, -5], [1, 1, 5], [0, 0, 0], [-9, 9, 0.5]], np.float32)
    expected = [[-2, 0, -5], [6, 0.1, 5], [2, 0.05, 0], [-2, 0.1, 0.5]]
    np.testing.assert_allclose(to_bounds(actions), expected, rtol=1e-6, atol=1e-7)
    assert all(spaces.Box(low, high).contains(action) for action in to_bounds(actions))


def test_without_rescaling_actions_are_only_clipped() -> None:
    to_bounds = ToBounds(spaces.Box(low, high), rescale=False)
    actions = np.array([[-1, 0.05, -5], [9, 9, 9]], np.float32)
    np.testing.assert_allclose(to_bounds(actions), [[-1, 0.05, -5], [6, 0.1, 9]], rtol=1e-6)
