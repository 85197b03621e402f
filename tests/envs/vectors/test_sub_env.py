"""One sub-environment: what it is blamed for, and how its episodes are restored."""

from __future__ import annotations

import math
import signal
from fractions import Fraction
from threading import Timer
from typing import Any

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors.vector import Arrays, EnvFault
from tests.support.vectors import TOY, assert_same, assert_same_state, play, sample_actions
from training import interruption
from training.errors import UserError

FAULTY = "tests.support.toy_envs:Faulty-v0"


def act(*actions: int) -> Arrays:
    return {"action": np.array(actions)}


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("raises", "it raised KeyError: 'lost'"),
        ("nan", "its observation broke its space: 'a' holds nan at [1]"),
        ("shape", "its observation broke its space: 'a' has shape (3,); its space is Box(-1.0, 1.0, (2,), float32)"),
        ("dtype", "its observation broke its space: 'b' has dtype float64; its space is Discrete(3)"),
        ("range", "its observation broke its space: 'b' is 3, outside its space Discrete(3)"),
        ("missing", "its observation broke its space: it has no part 'b': dict"),
        (
            "four",
            "its step returned 4 values (dict, float, bool, dict): it takes (observation, reward, terminated, "
            "truncated, info)",
        ),
    ],
)
def test_a_broken_environment_is_named_with_its_step_and_action(how: str, what: str) -> None:
    vec = make_vec(EnvConfig(FAULTY, kwargs={"how": how}), 3, seed=0, first_env=4)
    vec.reset()
    vec.step(act(0, 0, 0))
    with pytest.raises(EnvFault) as fault:
        vec.step(act(0, 1, 0))
    assert str(fault.value) == f"env 5 ({FAULTY}), episode 0, at step 2, action 1: {what}"
    assert isinstance(fault.value.__cause__, KeyError) == (how == "raises")
    with pytest.raises(RuntimeError, match="is closed"):
        vec.step(act(0, 0, 0))
    vec.close()


ARRAY, YES = np.zeros(2, np.float32), np.ones(1, bool)[0]


@pytest.mark.parametrize(
    ("part", "value", "what"),
    [
        ("reward", math.nan, "its reward is nan"),
        ("reward", -math.inf, "its reward is -inf"),
        ("reward", "1.0", "its reward is not a number: '1.0' (str)"),
        ("reward", np.array("1.0"), "its reward is not a number: array('1.0', dtype='<U3')"),
        ("reward", None, "its reward is not a number: None"),
        ("reward", 1j, "its reward is not a number: 1j (complex)"),
        ("reward", ARRAY, "its reward is not a number: an array of shape (2,)"),
        ("reward", [1.0, 2.0], "its reward is not a number: 2 values (float, float)"),
        ("terminated", None, "its terminated is None: it takes True or False"),
        ("terminated", "False", "its terminated is 'False' (str): it takes True or False"),
        ("truncated", 2, "its truncated is 2 (int): it takes True or False"),
        ("truncated", math.nan, "its truncated is nan (float): it takes True or False"),
        ("truncated", ARRAY, "its truncated is an array of shape (2,): it takes True or False"),
        ("info", None, "its info is None: it takes a dict"),
        ("info", [], "its info is 0 values (): it takes a dict"),
        ("obs", None, "its observation broke its space: it has no part 'a': NoneType"),
    ],
)
def test_what_breaks_the_contract_of_a_step_is_shown(part: str, value: Any, what: str) -> None:
    told = fault_of({"how": part, "value": value}, steps=1)
    assert told == f"env 0 ({FAULTY}), episode 0, at step 1, action 1: {what}"


@pytest.mark.parametrize(
    ("how", "value", "what"),
    [
        (
            "returns",
            ARRAY,
            "its reset returned an array of shape (2,): it takes (observation, info), and info is a dict",
        ),
        (
            "returns",
            (ARRAY, None),
            "its reset returned 2 values (ndarray, NoneType): it takes (observation, info), and info is a dict",
        ),
        ("returns", None, "its reset returned None: it takes (observation, info), and info is a dict"),
        ("first", {"b": 0.5}, "its observation broke its space: 'b' has dtype float64; its space is Discrete(3)"),
        (
            "first",
            {"a": np.zeros(3)},
            "its observation broke its space: 'a' has shape (3,); its space is Box(-1.0, 1.0, (2,), float32)",
        ),
        ("first", {"a": np.array([0, np.nan])}, "its observation broke its space: 'a' holds nan at [1]"),
    ],
)
def test_what_breaks_the_contract_of_a_reset_is_shown(how: str, value: Any, what: str) -> None:
    told = fault_of({"how": how, "value": value}, steps=0)
    assert told == f"env 0 ({FAULTY}), episode 0, at its reset: {what}"


@pytest.mark.parametrize(
    ("part", "value", "number"),
    [
        ("reward", 2, 2.0),
        ("reward", True, 1.0),
        ("reward", np.float32(0.5), 0.5),
        ("reward", YES, 1.0),
        ("reward", np.array([0.5]), 0.5),
        ("reward", np.array(0.5), 0.5),
        ("reward", Fraction(1, 2), 0.5),
        ("terminated", YES, 1.0),
        ("terminated", np.array([True]), 1.0),
        ("truncated", 1, 1.0),
        ("truncated", np.float32(0), 0.0),
    ],
)
def test_numbers_and_truths_of_other_kinds_are_taken(part: str, value: Any, number: float) -> None:
    vec = make_vec(EnvConfig(FAULTY, kwargs={"how": part, "value": value}), 1, seed=0)
    vec.reset()
    assert getattr(vec.step(act(1)), part).tolist() == [number]


def fault_of(kwargs: dict[str, Any], *, steps: int) -> str:
    vec = make_vec(EnvConfig(FAULTY, kwargs=kwargs), 1, seed=0)

    def play_on() -> None:
        vec.reset()
        for _ in range(steps):
            vec.step(act(1))

    with pytest.raises(EnvFault) as fault:
        play_on()
    return str(fault.value)


def test_a_fault_in_a_reset_names_no_action_and_is_one_line() -> None:
    vec = make_vec(EnvConfig(FAULTY, kwargs={"how": "reset"}), 2, seed=0)
    with pytest.raises(EnvFault) as fault:
        vec.reset()
    expected = f"env 0 ({FAULTY}), episode 0, at its reset: it raised RuntimeError: no way to begin"
    assert str(fault.value) == expected


def test_a_mask_that_is_sometimes_missing_is_a_fault() -> None:
    vec = make_vec(EnvConfig("tests.support.toy_envs:Masked-v0", kwargs={"forgets": True}), 1, seed=0)
    mask = vec.reset().action_mask
    assert mask is not None
    with pytest.raises(EnvFault, match="on some observations and not on others"):
        vec.step(act(int(np.argmax(mask[0]))))


@pytest.mark.parametrize("at_end", ["no mask", "zeros"])
def test_where_nothing_is_said_of_the_last_observation_all_counts_as_allowed(at_end: str) -> None:
    config = EnvConfig(TOY + "Masked-v0", kwargs={"at_end": at_end})
    vec, rng = make_vec(config, 2, seed=0), np.random.default_rng(0)
    step = vec.reset()
    for _ in range(6):
        step = vec.step(sample_actions(vec, rng, step.action_mask))
    assert step.action_mask is not None
    assert step.action_mask.sum(axis=1).tolist() == [3, 3], "of the next episode's first observation"
    assert step.final_action_mask is not None
    assert step.final_action_mask.tolist() == [[True] * 4] * 2


@pytest.mark.parametrize("backend", ["in-process", "subprocess"])
@pytest.mark.parametrize("name", ["Continuous", "Both"])
def test_masks_of_actions_that_have_none_are_refused(backend: Any, name: str) -> None:
    vec = make_vec(EnvConfig(TOY + "MaskedElsewhere-v0", backend=backend, kwargs={"both": name == "Both"}), 1, seed=0)
    with pytest.raises(UserError, match=r"it reports info\['action_mask'\], which is for Discrete and MultiDiscrete"):
        vec.reset()


def test_an_environment_that_cannot_be_replayed_starts_its_episode_again_and_says_so() -> None:
    vec = make_vec(EnvConfig(TOY + "Unseeded-v0"), 2, seed=0, first_env=3)
    vec.reset()
    for _ in range(4):
        vec.step({"action": np.zeros(2, np.int64)})
    vec.load_state_dict(vec.state_dict())
    assert [line.split(":")[0:3] for line in vec.inexact] == [
        ["env 3 (tests.support.toy_envs", "Unseeded-v0)", " episode 0 starts again at step 0 of 4"],
        ["env 4 (tests.support.toy_envs", "Unseeded-v0)", " episode 0 starts again at step 0 of 4"],
    ]
    assert vec.episode_steps.tolist() == [0, 0]
    again = vec.state_dict()
    assert again["episode_steps"].tolist() == [0, 0]


def test_fresh_instances_make_every_episode_the_first_of_its_instance() -> None:
    for fresh, resets in ((False, [1, 2, 3]), (True, [1, 1, 1])):
        vec = make_vec(EnvConfig(TOY + "Counting-v0", fresh_instance=fresh), 1, seed=0)
        starts = [vec.reset().obs["obs"][0, 0]]
        for _ in range(10):
            step = vec.step({"action": np.zeros(1, np.int64)})
            if step.terminated[0]:
                starts.append(step.obs["obs"][0, 0])
        assert starts == resets


@pytest.mark.parametrize("name", ["BipedalWalker-v3", "LunarLander-v3"])
def test_box2d_episodes_are_restored_exactly_in_a_new_vector(name: str) -> None:
    config, rng = EnvConfig(name, time_limit=60), np.random.default_rng(0)
    vec = make_vec(config, 2, seed=1)
    play(vec, 100, rng)
    # Without fresh instances, about a third of the walker's episodes are not restored exactly.
    for _ in range(8):
        state, generator = vec.state_dict(), rng.bit_generator.state
        expected = play(vec, 77, rng, vec.current())
        restored = make_vec(config, 2, seed=1)
        restored.load_state_dict(state)
        assert restored.inexact == []
        assert_same_state(restored.state_dict(), state)
        rng.bit_generator.state = generator
        assert_same(play(restored, 77, rng, restored.current()), expected)


@pytest.mark.parametrize("backend", ["in-process", "subprocess"])
def test_a_signal_ends_the_replay_of_a_long_episode(backend: str) -> None:
    """Of an episode of so many steps, each of which takes a while, that nobody would wait for it."""
    config = EnvConfig(TOY + "Pausing-v0", kwargs={"pause_s": 0.01}, backend=backend)  # type: ignore[arg-type]
    vec = make_vec(config, 1, seed=0)
    vec.reset()
    vec.step({"action": np.zeros(1, np.int64)})
    state = vec.state_dict()
    state["episode_steps"][:] = 10_000
    state["actions"] = {"action": np.zeros((10_000, 1), np.int64)}
    with interruption.catch():
        Timer(0.3, signal.raise_signal, [signal.SIGTERM]).start()
        with pytest.raises(interruption.Interrupted):
            vec.load_state_dict(state)
    with pytest.raises(RuntimeError, match="is closed"):
        vec.reset()
