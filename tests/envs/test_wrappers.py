"""Words of `env.wrappers`: what they stand for, what is refused, and where the wrappers are."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers as of_gymnasium
from hypothesis import given
from hypothesis import strategies as st

from envs.config import EnvConfig
from envs.making import find_batched, make_vec
from envs.single import make_env
from envs.stacks import atari
from envs.wrappers import read_word
from tests.support.toy_wrappers import Drifting, scaled
from tests.support.vectors import TOY
from training.errors import UserError
from training.options import changed_options, config_from_tree, config_to_tree, parse_options

OURS = "tests.support.toy_wrappers:"
PENDULUM = EnvConfig("Pendulum-v1")
TWO = ("TimeAwareObservation", "RescaleAction(min_action=-1.0, max_action=1.0)")


@dataclass(frozen=True)
class Config:
    env: EnvConfig = PENDULUM


def test_a_word_is_a_wrapper_of_gymnasium_a_stack_or_a_path() -> None:
    assert read_word("TimeAwareObservation")[1:] == (of_gymnasium.TimeAwareObservation, {})
    assert read_word("ResizeObservation(shape=(84, 84))")[1:] == (of_gymnasium.ResizeObservation, {"shape": (84, 84)})
    assert read_word("atari")[1:] == (atari, {})
    assert read_word(f"{OURS}Drifting(by=0.5, forgets=True)")[1:] == (Drifting, {"by": 0.5, "forgets": True})
    assert read_word(f" {OURS}scaled ( by = -1 ) ")[1:] == (scaled, {"by": -1})


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
SEVERAL = st.lists(PLAIN) | st.lists(PLAIN).map(tuple)
VALUES = PLAIN | SEVERAL | st.dictionaries(st.text(), PLAIN | SEVERAL)


@given(value=VALUES)
def test_arguments_are_the_literals_that_python_shows(value: Any) -> None:
    assert read_word(f"{OURS}scaled(by={value!r})").arguments == {"by": value}


@given(text=st.text())
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    told = ""
    try:
        read_word(text)
    except UserError as error:
        told = str(error)
    assert not told or re.fullmatch("wrappers: .*", told)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("TimeAwareObservatoin", r"neither a wrapper .* nor a stack .*; did you mean TimeAwareObservation\?$"),
        ("FrameStack(k=4)", r"did you mean FrameStackObservation\?$"),
        ("vector", "is neither a wrapper"),
        (
            "TimeAwareObservation(normalise_time=True)",
            "it has no argument 'normalise_time'; did you mean normalize_",
        ),
        ("ResizeObservation", "missing a required argument: 'shape'; it takes shape$"),
        ("atari(frames=3)", "it has no argument 'frames'; it takes none$"),
        ("ClipReward(-1, 1)", "takes arguments by keyword that are Python literals"),
        ("ClipReward(**{'min_reward': 1})", "takes arguments by keyword"),
        ("ClipReward(min_reward=__import__('os').getpid())", "takes arguments by keyword"),
        ("ClipReward(min_reward=[0 for _ in (1,)])", "takes arguments by keyword"),
        ("ClipReward(min_reward=1", "takes the form Name, module:Name or Name"),
        ("a b", "takes the form"),
        ("()", "takes the form"),
        ("no_such_module:Thing", "cannot import 'no_such_module'"),
        (f"{OURS}Driftign", r"has nothing of this name; did you mean Drifting\?$"),
        ("os:sep", "it takes a class of gymnasium.Wrapper, or a function that wraps"),
        (f"{TOY}Counting", "it takes a class of gymnasium.Wrapper"),
    ],
)
def test_a_wrong_word_is_one_line_before_anything_is_made(word: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        replace(PENDULUM, wrappers=("ClipAction", word))
    assert "\n" not in str(error.value)
    assert error.value.key == "wrappers"
    with pytest.raises(UserError, match=r"^env\.wrappers: "):
        parse_options(["--env.wrappers", word], Config())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            EnvConfig("CartPole-v1", wrappers=("ClipAction",)),
            r"^env.wrappers: 'ClipAction' does not fit CartPole-v1 \(",
        ),
        (replace(PENDULUM, wrappers=(f"{OURS}Demanding",)), r"does not fit Pendulum-v1 \(ValueError: not this one\)$"),
        (replace(PENDULUM, wrappers=(f"{OURS}lost",)), "takes a function that returns a gymnasium.Env, not None$"),
    ],
)
def test_a_wrapper_that_does_not_fit_is_one_line(config: EnvConfig, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        make_vec(config, 1, seed=0)
    assert "\n" not in str(error.value)


def test_words_come_from_the_command_line_and_from_json() -> None:
    (one,) = parse_options(["--env.wrappers", "ClipAction"], Config())
    assert one.env.wrappers == ("ClipAction",)
    for words in (list(TWO), ['["' + '", "'.join(TWO) + '"]']):
        (config,) = parse_options(["--env.wrappers", *words, "--env.drop", "mission"], Config())
        assert config.env == replace(PENDULUM, wrappers=TWO, drop=("mission",))
        assert config_from_tree(config_to_tree(config), Config()) == config
        (same,) = parse_options(changed_options(config, Config()), Config())
        assert same == config
    (none,) = parse_options(["--env.wrappers", "[]"], Config(replace(PENDULUM, wrappers=TWO)))
    assert none.env == PENDULUM


def test_the_first_word_is_innermost() -> None:
    def reward(*words: str) -> float:
        env = make_env(EnvConfig(TOY + "Counting", wrappers=words))
        env.reset(seed=0)
        return float(env.step(0)[1])

    assert reward(f"{OURS}scaled(by=10.0)", f"{OURS}Drifting") == 11.0
    assert reward(f"{OURS}Drifting", f"{OURS}scaled(by=10.0)") == 20.0


def test_the_agents_steps_are_limited_stacked_and_selected_after_all_wrappers() -> None:
    config = replace(PENDULUM, wrappers=TWO, time_limit=5, observation_indices=(3, 0), frame_stack=2)
    vec = make_vec(config, 1, seed=1)
    assert vec.action_space == gym.spaces.Box(-1, 1, (1,), np.float32)
    rest = {"action": np.zeros((1, 1), np.float32)}
    seen = [vec.reset().obs["obs"].copy(), *(vec.step(rest).obs["obs"].copy() for _ in range(4))]
    assert [obs[0, :, 0].tolist() for obs in seen] == [[0, 0], [0, 1], [1, 2], [2, 3], [3, 4]]
    step = vec.step(rest)
    assert step.truncated.tolist() == [True]
    assert step.final_obs["obs"][0, :, 0].tolist() == [4, 5]
    assert vec.observation_space.high[0, 0] == 5, "the wrapper was told the config's limit, not that of Pendulum"  # type: ignore[attr-defined]


@pytest.mark.parametrize("changes", [{"wrappers": ("TimeAwareObservation",)}, {"drop": ("mission",)}])
def test_what_steps_copies_at_once_never_leaves_wrappers_out(changes: dict[str, Any]) -> None:
    cartpole = EnvConfig("CartPole-v1", **changes)
    assert find_batched(cartpole) is None
    for backend in ("batched", "vector-entry-point", "envpool"):
        with pytest.raises(UserError, match=rf"env.backend = '{backend}'"):
            make_vec(replace(cartpole, backend=backend), 2, seed=0)
