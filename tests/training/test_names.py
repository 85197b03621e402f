"""A name that was typed wrong leads to the one that was meant; dotted names lead into a module."""

from __future__ import annotations

from tests.support import toy_envs
from training.names import find_object, nearest, nearest_hint


def test_the_nearest_name_is_offered_or_the_first_of_all() -> None:
    assert nearest("ppo_cartpol", ["ppo_cartpole", "a2c_cartpole"]) == "did you mean ppo_cartpole?"
    assert nearest("xyz", ["ppo_cartpole", "a2c_cartpole"]) == "there are ppo_cartpole, a2c_cartpole"
    assert nearest("--gamma", ["--seed", "--agent.gamma"]) == "did you mean --agent.gamma?"


def test_a_hint_is_empty_where_no_name_is_close() -> None:
    assert nearest_hint("Coutning", ["Counting", "Nested"]) == "; did you mean Counting?"
    assert nearest_hint("xyz", ["Counting", "Nested"]) == ""


def test_objects_are_found_by_their_qualified_name() -> None:
    assert find_object(toy_envs, "Counting") is toy_envs.Counting
    assert find_object(toy_envs, "Outer.Inner") is toy_envs.Outer.Inner
    assert find_object(toy_envs, "Outer.Missing") is None
    assert find_object(toy_envs, "Missing.Inner") is None
