from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.control import ppo_cartpole
from training.core import Budget, Counters
from training.errors import UserError
from training.optimizer import Schedule
from training.options import config_from_tree, config_to_tree
from training.search_space import (
    Choice,
    Integer,
    LogUniform,
    Range,
    Uniform,
    check_schedules,
    check_space,
    decode,
    encode,
    read_space,
    with_changes,
    with_steps,
    without_schedule,
)

CONFIG = ppo_cartpole.Config()


def test_the_command_line_writes_every_kind_of_range() -> None:
    words = [
        "agent.gamma=0.9..0.999",
        "agent.optimizer.learning-rate=log:1e-4..1e-2",
        "agent.epochs=2..20",
        "agent.horizon=log:32..256",
        "agent.minibatch_size=64,128",
        "policy.network.activation=tanh,relu",
        "agent.gae_lambda",
    ]
    assert read_space(words, ppo_cartpole.SPACE, CONFIG) == {
        "agent.gamma": Uniform(0.9, 0.999),
        "agent.optimizer.learning_rate": LogUniform(1e-4, 1e-2),
        "agent.epochs": Integer(2, 20),
        "agent.horizon": Integer(32, 256, log=True),
        "agent.minibatch_size": Choice((64, 128)),
        "policy.network.activation": Choice(("tanh", "relu")),
        "agent.gae_lambda": ppo_cartpole.SPACE["agent.gae_lambda"],
    }
    assert read_space([], ppo_cartpole.SPACE, CONFIG) == ppo_cartpole.SPACE


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("agent.gama=0.9..1", "unknown key agent.gama in the search space: did you mean agent.gamma?"),
        ("agent.gama", "--space agent.gama: it takes KEY=RANGE, or a key of the experiment's SPACE; did you mean"),
        ("agent.gamma=0.9..1.5", "search space: agent.gamma = 1.5: it takes a number from 0 to 1"),
        ("agent.gamma=0.9..x", "--space agent.gamma=0.9..x: it takes LOW..HIGH, log:LOW..HIGH or values with commas"),
        ("agent.gamma=1..0.9", "--space agent.gamma=1..0.9: high = 0.9: it takes a number above low = 1.0"),
        ("agent.gamma=log:0..1", "--space agent.gamma=log:0..1: low = 0.0: it takes a number above 0"),
        ("agent.gamma=0.9", "--space agent.gamma=0.9: values = (0.9,): it takes at least two"),
        ("agent.horizon=1.5..9", "search space: agent.horizon = Uniform(low=1.5, high=9.0): it takes Integer or"),
        ("agent.horizon=32,many", "--space agent.horizon=32,many: agent.horizon = 'many': it takes a valid integer"),
        ("agent.minibatch_size=64,100", "--space agent.minibatch_size=64,100: agent.minibatch_size = 100: it takes a"),
        ("agent.gamma=0..inf", "--space agent.gamma=0..inf: high = inf: it takes a number above low"),
    ],
)
def test_a_wrong_range_is_one_line_that_names_it(word: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        read_space([word], ppo_cartpole.SPACE, CONFIG)
    assert str(error.value).startswith(message)


def test_an_experiment_without_a_space_says_how_to_name_one() -> None:
    with pytest.raises(UserError, match="has no SPACE: name what to change, such as --space"):
        read_space([], None, CONFIG)


def test_a_choice_may_be_of_any_values_that_the_field_takes() -> None:
    space: dict[str, Range] = {"policy.network.hidden": Choice(((64, 64), ())), "agent.target_kl": Choice((None, 0.1))}
    check_space(space, CONFIG)
    values = decode(space, {"policy.network.hidden": 1, "agent.target_kl": 1})
    assert values == {"policy.network.hidden": (), "agent.target_kl": 0.1}
    changed = with_changes(CONFIG, values)
    assert (changed.policy.network.hidden, changed.agent.target_kl) == ((), 0.1)
    with pytest.raises(UserError, match=r"^search space: policy\.network\.hidden"):
        check_space({"policy.network.hidden": Choice(((64,), ("wide",)))}, CONFIG)


@given(st.floats(1e-4, 1e-2), st.floats(0.1, 0.4))
def test_what_is_drawn_has_three_digits_and_is_inside(rate: float, clip: float) -> None:
    values = decode({"a": LogUniform(1e-4, 1e-2), "b": Uniform(0.1, 0.4)}, {"a": rate, "b": clip})
    assert values["a"] == pytest.approx(rate, rel=5.1e-3)
    assert float(f"{values['a']:.3g}") == values["a"]
    assert 1e-4 <= values["a"] <= 1e-2
    assert 0.1 <= values["b"] <= 0.4


def test_the_own_configuration_is_drawn_first_where_it_is_inside() -> None:
    drawn = encode(ppo_cartpole.SPACE, CONFIG)
    assert drawn is not None
    assert with_changes(CONFIG, decode(ppo_cartpole.SPACE, drawn)) == CONFIG
    assert encode({"agent.gamma": Uniform(0.99, 0.999)}, CONFIG) is None
    assert encode({"agent.epochs": Choice((1, 2))}, CONFIG) is None


def test_a_history_of_a_rate_is_a_schedule_of_steps() -> None:
    key = "agent.optimizer.learning_rate"
    found = with_steps(CONFIG, key, [(0.0, 4e-3), (0.25, 2e-3), (0.5, 6e-3)])
    optimizer, until = found.agent.optimizer, Budget(1000, "env_steps")
    rates = [
        optimizer.learning_rate * optimizer.schedule.multiplier(Counters(env_steps=steps), until)
        for steps in (0, 249, 250, 499, 500, 1000, 2000)
    ]
    assert rates == pytest.approx([4e-3, 4e-3, 2e-3, 2e-3, 6e-3, 6e-3, 6e-3])
    tree = json.loads(json.dumps(config_to_tree(found)))
    assert config_from_tree(tree, CONFIG) == found
    still = with_steps(CONFIG, "agent.clip_range", [(0.0, 0.3)])
    assert still.agent == replace(CONFIG.agent, clip_range=0.3, clip_schedule=Schedule())
    assert without_schedule(CONFIG, [key]).agent.optimizer.schedule == Schedule()


@pytest.mark.parametrize("key", ["agent.gamma", "agent.epochs"])
def test_a_population_searches_rates_that_have_a_schedule(key: str) -> None:
    check_schedules({"agent.clip_range": Uniform(0.1, 0.4)})
    with pytest.raises(UserError, match=f"search space: {key}: population-based training takes"):
        check_schedules({key: Uniform(0.1, 0.4)})


@dataclass(frozen=True)
class _Plain:
    size: int = 4
    rate: float = 0.5


def test_an_integer_stays_inside_and_a_float_takes_it() -> None:
    space: dict[str, Range] = {"size": Integer(2, 8, log=True), "rate": Integer(0, 3)}
    check_space(space, _Plain())
    assert decode(space, {"size": 9, "rate": 2}) == {"size": 8, "rate": 2}
    with pytest.raises(UserError, match="low = 0: it takes a number above 0"):
        Integer(0, 3, log=True)
