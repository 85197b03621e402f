"""Environments that are given as objects: in a module, or of this process alone."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import make_vec
from envs.single import make_env
from envs.specs import id_of
from tests.support import ROOT
from tests.support.toy_envs import Counting, Outer, RandomWalk, make_counting
from tests.support.vectors import TOY, assert_same, play
from training.errors import UserError
from training.options import config_from_tree, config_to_tree, parse_options


@dataclass(frozen=True)
class Config:
    env: EnvConfig = EnvConfig("CartPole-v1")


def test_a_class_or_a_function_in_a_module_is_an_environment() -> None:
    for name in ("Counting", "make_counting", "Outer.Inner"):
        env = make_env(EnvConfig(TOY + name, kwargs={"length": 2}, time_limit=3))
        env.reset(seed=1)
        ends = [env.step(0)[2:4] for _ in range(2)]
        assert ends == [(False, False), (False, True) if name == "make_counting" else (True, False)]


def test_what_is_registered_goes_before_a_function_of_the_same_name() -> None:
    gym.register("make_counting", "gymnasium.envs.classic_control:CartPoleEnv")
    try:
        assert make_env(EnvConfig(TOY + "make_counting")).observation_space.shape == (4,)
        assert id_of(make_counting) == "__main__:make_counting", "its id in the module is another environment's"
    finally:
        del gym.registry["make_counting"]


def test_without_a_limit_of_its_own_an_episode_ends_at_the_configs() -> None:
    endless = EnvConfig(TOY + "RandomWalk", kwargs={"end_chance": 0.0})
    assert endless.longest_episode_steps is None
    vec = make_vec(EnvConfig.of(endless, time_limit=4), 1, seed=1)
    vec.reset()
    ends = [bool(vec.step({"action": np.zeros((1, 2), np.float32)}).truncated[0]) for _ in range(8)]
    assert ends == [False, False, False, True] * 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (TOY + "Countng", "^id = .*: tests.support.toy_envs has nothing of this name.* did you mean Counting"),
        (TOY + "TOYS", "^id = .*: it takes the name of a class of gymnasium.Env, or of a function .* is neither$"),
        (TOY + "Outer", "is neither$"),
        (TOY + "Counting-v7", "no environment is registered under this name; did you mean Counting-v0"),
        ("__main__:Nowhere", "^id = '__main__:Nowhere': it was defined in a script, a notebook or a function, which"),
    ],
)
def test_what_is_no_environment_is_one_line(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        EnvConfig(name)
    assert "\n" not in str(error.value)


def test_a_function_that_returns_no_environment_is_one_line() -> None:
    with pytest.raises(UserError) as error:
        make_env(EnvConfig(TOY + "make_nothing"))
    assert str(error.value) == (
        "env.id = 'tests.support.toy_envs:make_nothing': it takes a function that returns a gymnasium.Env, not None"
    )


def test_a_constructor_that_lacks_an_argument_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^env.kwargs = {'size': 3}: .*:make_counting does not take them"):
        make_env(EnvConfig(TOY + "make_counting", kwargs={"size": 3}))


def test_the_face_takes_an_id_a_class_a_function_or_a_config() -> None:
    assert EnvConfig.of("CartPole-v1", time_limit=3) == EnvConfig("CartPole-v1", time_limit=3)
    assert EnvConfig.of(EnvConfig("CartPole-v1"), frame_stack=2) == EnvConfig("CartPole-v1", frame_stack=2)
    assert EnvConfig.of(Counting, kwargs={"length": 3}) == EnvConfig(TOY + "Counting", kwargs={"length": 3})
    assert EnvConfig.of(make_counting).id == TOY + "make_counting"
    assert EnvConfig.of(Outer.Inner).id == TOY + "Outer.Inner"


@pytest.mark.parametrize(
    ("given", "changes", "message"),
    [
        (3, {}, "^env = 3: it takes an id, a class of gymnasium.Env, a function that returns one, or an EnvConfig"),
        (dict, {}, "^env = <class 'dict'>: it takes an id, a class"),
        (Counting(), {}, "its class, not an instance$"),
        (partial(Counting, 3), {}, "arguments go into kwargs$"),
        (Counting, {"time_limt": 3}, r"^time_limt = 3: .*; did you mean time_limit\?$"),
    ],
)
def test_the_face_refuses_what_makes_no_environment(given: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        EnvConfig.of(given, **changes)


def test_an_importable_one_comes_back_from_json_in_another_process() -> None:
    config = Config(EnvConfig.of(Counting, kwargs={"length": 3}))
    assert config_from_tree(config_to_tree(config), Config()) == config
    (same,) = parse_options(["--env.id", TOY + "Counting", "--env.kwargs", '{"length": 3}'], Config())
    assert same == config
    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(UserError, match=r"^env.kwargs.how = <built-in function len>"):
        config_to_tree(Config(EnvConfig.of(Counting, kwargs={"how": len})))


def test_what_a_function_defines_is_known_to_this_process_and_to_no_other() -> None:
    class Local(RandomWalk):
        pass

    config = EnvConfig.of(Local, backend="in-process")
    assert config.id == "__main__:test_what_a_function_defines_is_known_to_this_process_and_to_no_other.Local"
    assert config_from_tree(config_to_tree(Config(config)), Config()).env == config
    runs = [play(make_vec(env, 2, seed=4), 30, np.random.default_rng(1)) for env in (config, EnvConfig.of(RandomWalk))]
    assert_same(runs[0], runs[1])
    for travels in (
        lambda: pickle.dumps(config),
        lambda: make_vec(EnvConfig.of(config, backend="subprocess"), 1, seed=0),
    ):
        with pytest.raises(UserError, match=r"other processes .* cannot find it; move it to the top of a module$"):
            travels()


def test_objects_of_one_name_are_told_apart() -> None:
    def kind() -> type[gym.Env[Any, Any]]:
        class Same(Counting):
            pass

        return Same

    one, other = kind(), kind()
    first, second = EnvConfig.of(one), EnvConfig.of(other)
    assert second.id == f"{first.id}.2"
    assert EnvConfig.of(one) == first, "it keeps its id"
    assert isinstance(make_env(EnvConfig(second.id)).unwrapped, other)
    assert EnvConfig.of(lambda: Counting()).id.endswith("told_apart.lambda")


SCRIPT = '''
import gymnasium as gym
from tests.support.toy_envs import Counting
from envs.config import EnvConfig
from envs.making import make_vec

class Mine(Counting):
    """First."""

config = EnvConfig.of(Mine)
class Mine(Counting):
    """As a cell of a notebook that was run again."""

print(config.id, EnvConfig.of(Mine) == config, type(EnvConfig(config.id).spec.entry_point) is type)
print(EnvConfig(config.id).spec.entry_point is Mine, make_vec(config, 2, seed=1).reset().obs["obs"].tolist())
'''


def test_the_class_of_a_script_has_its_name_and_the_newest_one_counts() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["__main__:Mine True True", "True [[1.0, 0.0], [1.0, 0.0]]"]
