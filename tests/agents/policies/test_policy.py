"""What all policies of networks share: actions in bounds over every kind of space, and predicting one step alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from envs.spaces import flatten, leaves
from envs.vectors.vector import named
from tests.support.actor_critics import ACTION_SPACES, SMALL, make_policy
from training.seeding import generator


@pytest.mark.parametrize("mode", ["explore", "greedy", "random"])
@pytest.mark.parametrize("name", ACTION_SPACES)
def test_actions_belong_to_the_environments_space(name: str, mode: Any) -> None:
    space = ACTION_SPACES[name]
    policy = make_policy(space, replace(SMALL, initial_log_std=1.0))
    step = {"obs": torch.randn(20, 3, generator=generator(1)).numpy()}
    action = policy.env_action(policy.acting(mode, 20)(step, {}, policy.noise((20,), generator(2)))[0])
    for row in range(20):
        for leaf in leaves(space):
            value = leaf.decode(action[named("action", leaf.name)][row])
            assert leaf.space.contains(value) or value in leaf.space, (leaf, value)
    for _ in range(20):
        predicted = policy.predict(np.ones(3, np.float32), greedy=mode == "greedy")
        assert space.contains(predicted)
        flatten(leaves(space), predicted)


def test_a_mask_of_several_numbers_is_obeyed_by_predict_as_the_environment_reports_it() -> None:
    policy = make_policy(spaces.MultiDiscrete([2, 3], start=[5, -1]))
    masks = np.array([0, 1], np.int8), np.array([1, 0, 1], np.int8)
    for mask in (masks, np.concatenate(masks)):
        seen = {tuple(policy.predict(np.ones(3, np.float32), greedy=False, action_mask=mask)) for _ in range(40)}
        assert seen == {(6, -1), (6, 1)}
    with pytest.raises(ValueError, match=r"has 4 entries; MultiDiscrete\(.*\) takes 2 \+ 3"):
        policy.predict(np.ones(3, np.float32), action_mask=np.ones(4))


def test_a_mask_is_obeyed_by_predict_and_in_low_precision() -> None:
    policy = make_policy(spaces.Discrete(3))
    mask = np.array([False, False, True])
    assert {policy.predict(np.ones(3, np.float32), greedy=False, action_mask=mask) for _ in range(20)} == {2}
    with torch.autocast("cpu", torch.float16):
        batch = {
            "obs": torch.ones(2, 3),
            "action": torch.tensor([2, 2]),
            "action_mask": torch.from_numpy(np.array([mask, mask])),
        }
        log_prob, entropy, value = policy.evaluate(batch)
    assert log_prob.dtype == entropy.dtype == value.dtype == torch.float32
    torch.testing.assert_close(log_prob, torch.zeros(2))
