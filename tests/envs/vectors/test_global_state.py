"""What a critic sees of a match: all agents' views and the agent's own index, also at the ends."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors.global_state import GlobalStates
from training.errors import UserError

LEAVING = EnvConfig("tests.support.toy_matches:parallel_env", global_state=True)


def test_it_holds_what_all_see_and_who_it_is() -> None:
    vec = make_vec(LEAVING, 2, seed=1)
    step = vec.reset()
    own, whole = step.obs["obs/agent"], step.obs["obs/global"]
    assert whole.shape == (6, 3 * 3 + 3)
    for row in range(6):
        match = row // 3
        np.testing.assert_array_equal(whole[row, :9], own[3 * match : 3 * match + 3].ravel())
        np.testing.assert_array_equal(whole[row, 9:], np.eye(3)[row % 3])


def test_who_has_left_is_zeros_and_an_end_is_seen_before_the_next_match_begins() -> None:
    vec = make_vec(LEAVING, 1, seed=1)
    vec.reset()
    action = {"action": np.zeros(3, np.int64)}
    vec.step(action)
    two = vec.step(action)
    assert two.final_obs["obs/global"][0, :9:3].tolist() == [2, 2, 2], "the end of the first one's part, with all there"
    assert two.obs["obs/global"][0, :9:3].tolist() == [0, 2, 2]
    three = vec.step(action)
    assert three.final_obs["obs/global"][0, :9:3].tolist() == [0, 3, 3]
    four = vec.step(action)
    assert four.final_obs["obs/global"][0, :9:3].tolist() == [0, 0, 4]
    assert four.final_obs["obs/global"][0, 9:].tolist() == [0, 0, 1]
    assert four.obs["obs/global"][0, :9].reshape(3, 3)[:, :2].tolist() == [[0, 0], [0, 1], [0, 2]]


def test_views_that_are_no_vectors_are_refused() -> None:
    class Pictures:
        num_agents, num_envs = 2, 2
        observation_space, action_space = spaces.Box(0, 255, (8, 8), np.uint8), spaces.Discrete(2)

    with pytest.raises(
        UserError, match=r"env.global_state = True: it takes agents that see a vector; those of pictures"
    ):
        GlobalStates(Pictures(), "pictures")  # type: ignore[arg-type]
