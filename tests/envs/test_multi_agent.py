"""Matches of several agents: what breaks PettingZoo's API, or is no match, is one line."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import make_vec, num_agents_of
from envs.multi_agent import is_parallel
from envs.vectors.vector import EnvFault
from tests.support.toy_matches import Leaving
from tests.support.vectors import play
from training.errors import UserError

TOY = "tests.support.toy_matches:"
LEAVING = EnvConfig(TOY + "parallel_env")


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("spaces", r"b's observation space is Box.*: one network takes agents with the same spaces"),
        ("empty", r"its possible_agents are \[\]: it takes at least one agent"),
    ],
)
def test_agents_that_one_network_cannot_take_are_refused(fault: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        make_vec(EnvConfig(TOY + "Leaving", kwargs={"fault": fault}), 1, seed=0)


@pytest.mark.parametrize(
    ("fault", "masked", "complaint"),
    [
        ("vanishes", "", r"step 1.*a left `agents` and was neither terminated nor truncated"),
        ("stays", "", r"step 2.*a is in `agents` though its part of the match is over"),
        ("missing", "", r"episode 1, at its reset: a match begins with the agents \['a', 'b'\]: it takes all"),
        ("no reward", "", r"step 1.*b acted and got no reward"),
        ("nothing allowed", "info", r"step 1.*a is to act and its action mask allows nothing: it takes a legal move"),
        ("nothing allowed", "observation", r"step 1.*a is to act and its action mask allows nothing"),
    ],
)
def test_what_breaks_the_api_is_one_line_that_names_the_agent(fault: str, masked: str, complaint: str) -> None:
    vec = make_vec(EnvConfig(TOY + "Leaving", kwargs={"fault": fault, "masked": masked}), 1, seed=0)
    vec.reset()
    with pytest.raises(EnvFault, match=complaint):
        play(vec, 6, np.random.default_rng(0), vec.current())


def test_classes_functions_and_ids_of_matches_are_known() -> None:
    assert is_parallel(Leaving)
    assert is_parallel(Leaving())
    assert not is_parallel(3)
    assert num_agents_of(LEAVING) == num_agents_of(EnvConfig.of(Leaving)) == 3
    assert num_agents_of(EnvConfig("CartPole-v1")) == 1
    assert num_agents_of(EnvConfig("mpe2.simple_spread_v3:parallel_env")) == 3


def test_where_pettingzoo_was_never_imported_nothing_is_a_match(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pettingzoo")
    assert not is_parallel(Leaving)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"id": "CartPole-v1", "global_state": True}, "global_state = True: it takes False: CartPole-v1 has one agent"),
        ({"id": "mpe3.some_v1:parallel_env"}, "cannot import 'mpe3.some_v1'"),
        ({"id": "mpe2.none_v1:parallel_env"}, r"cannot import .*; install it: .*\[multiagent\]"),
    ],
)
def test_a_config_that_asks_for_what_there_is_not_is_one_line(config: dict[str, object], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        EnvConfig(**config)


def test_what_would_change_one_agents_view_is_refused_for_matches() -> None:
    with pytest.raises(UserError, match="it takes a match of several agents without frame_stack"):
        make_vec(EnvConfig(LEAVING.id, frame_stack=2), 1, seed=0)
    with pytest.raises(UserError, match="give a function that makes a match of several agents by its id"):
        make_vec(EnvConfig.of(lambda: Leaving()), 1, seed=0)
