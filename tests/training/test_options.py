"""Configs from the command line and from JSON: one road, one line for every mistake."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.errors import UserError, require
from training.options import (
    changed_options,
    config_from_tree,
    config_hash,
    config_to_tree,
    options_below,
    parse_options,
)


@dataclass(frozen=True)
class Rule:
    pattern: str = "*"
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        require((self.learning_rate or 0.0) >= 0, "learning_rate", self.learning_rate, "a number of at least 0")


@dataclass(frozen=True)
class Optimizer:
    learning_rate: float = 3e-4
    """Step size."""
    kind: Literal["adam", "sgd"] = "adam"
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "a number above 0")


@dataclass(frozen=True)
class Agent:
    horizon: int = 32
    hidden: tuple[int, ...] = (64, 64)
    recompute: bool = True
    target_kl: float | None = None
    optimizer: Optimizer = Optimizer()

    def __post_init__(self) -> None:
        require(self.horizon >= 1, "horizon", self.horizon, "at least 1")


@dataclass(frozen=True)
class Config:
    seed: int = 1
    num_envs: int = 8
    name: str = "CartPole-v1"
    options: dict[str, Any] = field(default_factory=dict)
    warm_start: Rule | None = None
    agent: Agent = Agent()

    def __post_init__(self) -> None:
        require(self.num_envs >= 1, "num_envs", self.num_envs, "at least 1")


@dataclass(frozen=True)
class Command:
    run_dir: str | None = None


def read(*argv: str) -> Config:
    (config,) = parse_options(argv, Config())
    assert isinstance(config, Config)
    return config


def test_options_change_values_of_every_kind() -> None:
    rules = (Rule("policy.*", 0.1), Rule())
    cases: list[tuple[str, Config]] = [
        ("--seed -3", Config(seed=-3)),
        ("--num-envs 1e3", Config(num_envs=1000)),
        ("--num_envs=16", Config(num_envs=16)),
        ("--agent.horizon 64", Config(agent=Agent(horizon=64))),
        ("--agent.hidden 32 16", Config(agent=Agent(hidden=(32, 16)))),
        ("--agent.hidden [32,16]", Config(agent=Agent(hidden=(32, 16)))),
        ("--agent.hidden []", Config(agent=Agent(hidden=()))),
        ("--agent.recompute False", Config(agent=Agent(recompute=False))),
        ("--agent.recompute --seed 4", Config(seed=4)),
        ("--agent.target-kl 0.02", Config(agent=Agent(target_kl=0.02))),
        ("--agent.target-kl None", Config()),
        ("--agent.optimizer.learning-rate 1e-3", Config(agent=Agent(optimizer=Optimizer(1e-3)))),
        ("--agent.optimizer.kind sgd", Config(agent=Agent(optimizer=Optimizer(kind="sgd")))),
        (
            '--agent.optimizer.rules {"pattern":"policy.*","learning_rate":0.1} {}',
            Config(agent=Agent(optimizer=Optimizer(rules=rules))),
        ),
        ('--options {"size":[3,null]}', Config(options={"size": [3, None]})),
        ('--warm-start {"pattern":"a"}', Config(warm_start=Rule("a"))),
        ("--name 10", Config(name="10")),
        ("--name 10k", Config(name="10k")),
        ("--num-envs 1.5k", Config(num_envs=1500)),
        ("--agent.hidden 1k,16", Config(agent=Agent(hidden=(1000, 16)))),
        ("--agent.hidden 1k 16", Config(agent=Agent(hidden=(1000, 16)))),
        ("--agent.target-kl 2k", Config(agent=Agent(target_kl=2000.0))),
        ("--horizon 64", Config(agent=Agent(horizon=64))),
        ("--n-envs 2 --lr 1e-3", Config(num_envs=2, agent=Agent(optimizer=Optimizer(1e-3)))),
    ]
    for line, expected in cases:
        assert read(*line.split(" ")) == expected, line


def test_options_of_several_configs_may_be_mixed() -> None:
    command, config = parse_options(["--num-envs", "2", "--run-dir", "here"], Command(), Config())
    assert command == Command(run_dir="here")
    assert config == Config(num_envs=2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--agent.horizn 3", "unknown option --agent.horizn: did you mean --agent.horizon?"),
        ("--lr 1 --agent.optimizer.learning-rate 1", "--agent.optimizer.learning-rate is given twice"),
        ("--zzz 3", "unknown option --zzz: there are --seed, --num-envs"),
        ("--agent 3", "unknown option --agent: did you mean"),
        ("--seed x", "seed = 'x': it takes a valid integer"),
        ("--seed 2.5k5", "seed = '2.5k5': it takes a valid integer"),
        ("--seed 1.5", "seed = 1.5: it takes a valid integer"),
        ("--seed 2.5", "seed = 2.5: it takes a valid integer"),
        ("--seed true", "seed = True: it takes a valid integer"),
        ("--seed", "--seed is given nothing: it takes one value"),
        ("--seed 1 2", "--seed is given 1 2: it takes one value"),
        ("--seed 1 --seed 2", "--seed is given twice"),
        ("seed 1", "unexpected 'seed': options are written --name value"),
        ("--agent.recompute maybe", "agent.recompute = 'maybe': it takes a valid boolean"),
        ("--agent.target-kl x", "agent.target_kl = 'x': it takes a valid number or none"),
        ("--agent.hidden 3 b", "agent.hidden[1] = 'b': it takes a valid integer"),
        ("--agent.hidden", "--agent.hidden is given nothing: it takes one or more values, or '[]' for none"),
        ("--agent.optimizer.kind adamm", "agent.optimizer.kind = 'adamm': it takes 'adam' or 'sgd'"),
        ('--agent.optimizer.rules {"patern":"a"}', "unknown key agent.optimizer.rules[0].patern"),
        ('--agent.optimizer.rules {"learning_rate":-1}', "agent.optimizer.rules: learning_rate = -1.0: it takes"),
        ("--options 3", "options = 3: it takes "),
        ("--options {a", "options = '{a': it takes "),
        ("--num-envs 0", "num_envs = 0: it takes at least 1"),
        ("--agent.horizon 0", "agent.horizon = 0: it takes at least 1"),
        ("--agent.optimizer.learning-rate -1", "agent.optimizer.learning_rate = -1.0: it takes a number above 0"),
        ("--agent.optimizer.learning-rate nan", "agent.optimizer.learning_rate = nan: it takes a number above 0"),
    ],
)
def test_a_wrong_option_is_one_line_that_says_what_is_right(line: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read(*line.split(" "))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"sed": 1}, "unknown key sed in config.json: did you mean seed?"),
        ({"agent": {"horizn": 1}}, "unknown key agent.horizn in config.json: did you mean agent.horizon?"),
        ({"seed": "1"}, "seed = '1': it takes a valid integer"),
        ({"seed": True}, "seed = True: it takes a valid integer"),
        ({"agent": None}, "agent = None: it takes "),
        ({"agent": {"hidden": 3}}, "agent.hidden = 3: it takes a valid array"),
        ({"agent": {"horizon": 0}}, "agent.horizon = 0: it takes at least 1"),
        ({"warm_start": {"x": 1}}, "unknown key warm_start.x"),
        ([1], "config.json holds [1]: it takes an object"),
    ],
)
def test_json_is_read_strictly(tree: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        config_from_tree(tree, Config())
    assert str(caught.value).startswith(message)


numbers = st.floats(allow_nan=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
scalars = (
    st.sampled_from([np.int64(3), np.float32(0.1), np.float64(0.1), np.bool_(True), np.float32("inf"), np.uint8(7)])  # noqa: FBT003
    | st.sampled_from([float("inf"), -float("inf"), -0.0, 2**70])
)
free_values = st.recursive(
    json_values | scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.sampled_from(["$tuple", "$int"]), inner, max_size=3)
    ),
    max_leaves=8,
)
rules = st.builds(Rule, pattern=st.text(), learning_rate=st.none() | st.floats(min_value=0))
optimizers = st.builds(
    Optimizer,
    learning_rate=st.floats(min_value=0, exclude_min=True),
    kind=st.sampled_from(["adam", "sgd"]),
    rules=st.lists(rules, max_size=3).map(tuple),
)
agents = st.builds(
    Agent,
    horizon=st.integers(min_value=1),
    hidden=st.lists(st.integers(), max_size=3).map(tuple),
    recompute=st.booleans(),
    target_kl=st.none() | numbers,
    optimizer=optimizers,
)
configs = st.builds(
    Config,
    seed=st.integers(),
    num_envs=st.integers(min_value=1),
    name=st.text(),
    options=st.dictionaries(st.text(), json_values, max_size=3),
    warm_start=st.none() | rules,
    agent=agents,
)
free_configs = st.builds(
    Config, options=st.dictionaries(st.text() | st.just("$tuple"), free_values, max_size=3), agent=agents
)


@settings(max_examples=150)
@given(configs | free_configs)
def test_json_gives_the_config_back(config: Config) -> None:
    """With the types that it had: 1 is neither True nor 1.0 for an environment, nor a list a tuple."""
    again = config_from_tree(json.loads(json.dumps(config_to_tree(config))), Config())
    assert again == config_from_tree(config_to_tree(config), Config()) == config
    assert repr(again.options) == repr(config.options)
    assert config_hash(again) == config_hash(config)


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    SMALL = 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reward": float}, r"options\.reward = <class 'float'>: it takes bool, int, .* config\.json can give back"),
        ({"reward": (1, abs)}, r"options\.reward\.1 = <built-in function abs>: it takes"),
        ({"table": {"a": [{1}]}}, r"options\.table\.a\.0 = \{1\}: it takes"),
        ({"colour": Colour.RED}, r"options\.colour = <Colour\.RED: 'red'>: it takes"),
        ({"size": Size.SMALL}, r"options\.size = <Size\.SMALL: 1>: it takes"),
        ({"rule": Rule()}, r"options\.rule = Rule\(.*: it takes"),
        ({"shape": np.zeros(2)}, r"options\.shape = array\(.*: it takes"),
        ({"table": {(0, 1): 2}}, r"options\.table has the key \(0, 1\) of type tuple: keys are str or int"),
        ({0: 1}, r"options has the key 0: it takes the names of arguments"),
    ],
)
def test_a_value_that_json_would_not_give_back_is_refused(options: dict[Any, Any], message: str) -> None:
    for read_it in (config_to_tree, config_hash, lambda config: changed_options(config, Config())):
        with pytest.raises(UserError, match=message):
            read_it(Config(options=options))


@pytest.mark.parametrize("damaged", [{"$tuple": 3}, {"$int": 3}, {"$scalar": "float32"}, {"$dict": [1]}])
def test_damaged_json_of_such_values_is_one_line(damaged: Any) -> None:
    with pytest.raises(UserError, match=r"options = .*: an object with a dollar sign takes what config\.json has"):
        config_from_tree({"options": {"a": damaged}}, Config())
    with pytest.raises(UserError, match="options = "):
        read(f"--options={json.dumps({'a': damaged})}")


@settings(max_examples=100)
@given(configs)
def test_the_command_line_can_say_every_config(config: Config) -> None:
    agent, optimizer = config.agent, config.agent.optimizer
    spoken = {
        "seed": config.seed,
        "num-envs": config.num_envs,
        "options": config.options,
        "warm-start": config.warm_start and vars(config.warm_start),
        "agent.horizon": agent.horizon,
        "agent.hidden": agent.hidden,
        "agent.recompute": agent.recompute,
        "agent.target-kl": agent.target_kl,
        "agent.optimizer.learning-rate": optimizer.learning_rate,
        "agent.optimizer.rules": [vars(rule) for rule in optimizer.rules],
    }
    argv = [f"--{name}={json.dumps(value)}" for name, value in spoken.items()]
    argv += [f"--agent.optimizer.kind={optimizer.kind}", f"--name={config.name}"]
    assert read(*argv) == config


@settings(max_examples=50)
@given(configs | free_configs)
def test_the_changed_options_make_the_config_of_the_default(config: Config) -> None:
    assert read(*changed_options(config, Config())) == config
    assert changed_options(config, config) == []


def test_the_hash_changes_with_every_value_and_not_with_the_spelling_of_a_number() -> None:
    variants = [
        Config(),
        Config(seed=2),
        Config(options={"a": 1}),
        Config(warm_start=Rule()),
        Config(agent=Agent(optimizer=Optimizer(learning_rate=1e-4))),
    ]
    assert len({config_hash(config) for config in variants}) == len(variants)
    whole = replace(Config(), agent=Agent(target_kl=1))
    assert config_hash(whole) == config_hash(read("--agent.target-kl", "1.0"))


def test_the_options_below_a_prefix_are_those_of_the_command_line() -> None:
    argv = [
        "--seed",
        "3",
        "--env.id=A-v0",
        "--env-steps",
        "9",
        "--env.observation-indices",
        "0",
        "2",
        "--env.kwargs",
        "{}",
    ]
    below = options_below(argv, "env.")
    assert below == ["--env.id=A-v0", "--env.observation-indices", "0", "2", "--env.kwargs={}"]
    assert options_below(argv, "preset") == []
    with pytest.raises(UserError, match="unexpected 'x'"):
        options_below(["x"], "env.")
