"""Critics: members that are apart, the smallest of what they say, and names of their own."""

from __future__ import annotations

import pytest
import torch
from gymnasium import spaces

from agents.updates.critics import Critics, CriticsConfig, DiscreteCritics, StateValue, prefixed
from tests.support.transitions import NETWORK, make_actor, make_batch, spread
from training.errors import UserError
from training.seeding import generator


def test_the_smallest_value_is_that_of_the_members_one_by_one() -> None:
    policy, batch = make_actor(), make_batch(discrete=False)
    critics = spread(Critics(policy, NETWORK, generator(6), members=3))
    obs = {"obs": batch["obs"]}
    found = critics(obs, batch["action"])
    assert found.shape == (3, 6, 1)
    torch.testing.assert_close(critics.smallest(obs, batch["action"]), found[:, :, 0].min(0).values)
    torch.testing.assert_close(critics(obs, batch["action"], 1), found[:1])
    later = critics(obs, batch["action"] + 1)
    assert (found != later).all(), "each sees the action"


def test_discrete_critics_and_state_values_have_one_number_for_each_action_and_for_each_state() -> None:
    policy, batch = make_actor(space=spaces.Discrete(3)), make_batch(discrete=True)
    obs = {"obs": batch["obs"]}
    assert DiscreteCritics(policy, NETWORK, generator(6), members=2)(obs).shape == (2, 6, 3)
    value = StateValue(policy, NETWORK, generator(6))
    torch.testing.assert_close(value(obs), value.mlp(value.encoder(obs))[:, 0])


def test_no_parameter_of_a_critic_has_the_name_of_one_of_the_policy() -> None:
    policy = make_actor()
    named = prefixed("critics", Critics(policy, NETWORK, generator(6), members=2))
    assert named
    assert all(key.startswith("critics.") for key in named)
    assert not named.keys() & dict(policy.named_parameters()).keys()


def test_no_critics_are_refused() -> None:
    with pytest.raises(UserError, match="critics = 0: it takes at least 1"):
        CriticsConfig(critics=0)
