"""Agents as rows: who plays, who has left, who saw what last; masks; the same on every backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors.vector import VectorEnv, of_matches
from tests.support.vectors import assert_same, play

LEAVING = EnvConfig("tests.support.toy_matches:parallel_env")
NOTHING = np.zeros(6, np.int64)


def test_who_has_left_is_not_valid_until_the_next_match_which_begins_when_the_last_one_left() -> None:
    vec = make_vec(LEAVING, 2, seed=1)
    first = vec.reset()
    assert first.valid is None
    assert first.obs["obs"][:, :2].tolist() == [[0, 0], [0, 1], [0, 2]] * 2
    drawn = first.obs["obs"][:, 2].copy()
    one = vec.step({"action": NOTHING + 1})
    assert one.reward.tolist() == [11.0, 12.0, 13.0] * 2
    assert one.valid is not None
    assert one.valid.all()
    two = vec.step({"action": NOTHING})
    assert two.terminated.tolist() == [True, False, False] * 2
    assert two.final_obs["obs"][:, :2].tolist() == [[2, 0], [2, 0]]
    three = vec.step({"action": NOTHING})
    assert three.valid is not None
    assert three.valid.tolist() == [False, True, True] * 2
    assert three.reward.tolist() == [0.0, 2.0, 3.0] * 2
    assert three.obs["obs"][:, 0].tolist() == [2, 3, 3] * 2, "who has left sees its last"
    assert three.terminated.tolist() == [False, True, False] * 2
    four = vec.step({"action": NOTHING})
    assert four.valid is not None
    assert four.valid.tolist() == [False, False, True] * 2
    assert four.truncated.tolist() == [False, False, True] * 2
    assert not four.terminated.any(), "truncation is no termination"
    assert four.final_obs["obs"][:, :2].tolist() == [[4, 2], [4, 2]]
    assert four.obs["obs"][:, :2].tolist() == [[0, 0], [0, 1], [0, 2]] * 2
    assert (four.obs["obs"][:, 2] != drawn).all(), "another episode, another seed"
    assert (vec.episode_steps == 0).all()
    reward, counts, ended = of_matches(four, vec)
    assert (reward.tolist(), counts.tolist(), ended.tolist()) == ([3.0, 3.0], [True, True], [True, True])
    again = vec.step({"action": NOTHING})
    assert again.valid is not None
    assert again.valid.all()


def test_a_match_does_not_end_with_the_first_agent_that_leaves() -> None:
    vec = make_vec(LEAVING, 2, seed=1)
    vec.reset()
    ends = []
    for _ in range(8):
        step = vec.step({"action": NOTHING})
        ends.append(of_matches(step, vec)[2].all())
    assert ends == [False, False, False, True] * 2


def test_a_time_limit_of_ours_cuts_those_that_still_play() -> None:
    vec = make_vec(replace(LEAVING, time_limit=3), 1, seed=1)
    vec.reset()
    for _ in range(3):
        step = vec.step({"action": NOTHING[:3]})
    assert step.terminated.tolist() == [False, True, False]
    assert step.truncated.tolist() == [False, False, True]
    assert len(step.final_obs["obs"]) == 2


@pytest.mark.parametrize("masked", ["info", "observation"])
def test_masks_of_every_agent_are_kept(masked: str) -> None:
    vec = make_vec(EnvConfig(LEAVING.id, kwargs={"masked": masked}), 2, seed=1)
    step = vec.reset()
    assert step.action_mask is not None
    assert step.action_mask.tolist() == [[True, False]] * 6
    assert step.obs["obs"].shape == (6, 3)
    with pytest.raises(ValueError, match="the action mask forbids it"):
        vec.step({"action": NOTHING + 1})
    step = vec.step({"action": NOTHING})
    assert step.action_mask is not None
    assert step.action_mask.tolist() == [[True, True]] * 6
    step = vec.step({"action": NOTHING})
    assert step.final_action_mask is not None
    assert step.final_action_mask.tolist() == [[True, False]] * 2, "of the last observation"


def test_every_backend_gives_the_same_and_restores_the_others_matches() -> None:
    runs, state = [], None
    for backend in ("in-process", "subprocess"):
        config: Any = replace(LEAVING, backend=backend, global_state=True)
        vec, rng = make_vec(config, 3, seed=7), np.random.default_rng(0)
        runs.append(play(vec, 30, rng))
        generator = rng.bit_generator.state
        state = state or vec.state_dict()
        expected = play(vec, 10, rng, vec.current())
        vec.load_state_dict(state)
        assert vec.inexact == []
        rng.bit_generator.state = generator
        assert_same(play(vec, 10, rng, vec.current()), expected)
        vec.close()
    assert_same(runs[1], runs[0])


def test_matches_do_not_depend_on_how_they_are_split_over_vectors() -> None:
    whole, part = make_vec(LEAVING, 3, seed=5), make_vec(LEAVING, 1, seed=5, first_env=2)
    last: list[VectorEnv] = [whole, part]
    for vec in last:
        vec.reset()
    for _ in range(9):
        np.testing.assert_array_equal(whole.current().obs["obs"][6:], part.current().obs["obs"])
        whole.step({"action": np.zeros(9, np.int64)})
        part.step({"action": NOTHING[:3]})
