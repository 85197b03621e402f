"""Which environment: what its config takes, refuses and finds out."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from typing import Any

import pytest

from envs import config as configs
from envs.config import EnvConfig
from training.errors import UserError
from training.options import config_from_tree, config_to_tree, parse_options

CARTPOLE = EnvConfig("CartPole-v1")


@dataclass(frozen=True)
class Config:
    env: EnvConfig = CARTPOLE


def test_configs_come_from_the_command_line_and_from_json() -> None:
    words = ["--env.id", "Pendulum-v1", "--env.kwargs", '{"g": 9.8}', "--env.time-limit", "10"]
    (config,) = parse_options([*words, "--env.observation-indices", "0", "2"], Config())
    assert config.env == EnvConfig("Pendulum-v1", kwargs={"g": 9.8}, time_limit=10, observation_indices=(0, 2))
    assert config_from_tree(config_to_tree(config), Config()) == config
    with pytest.raises(UserError, match=r"env\.kwargs"):
        parse_options(["--env.kwargs", "[1]"], Config())


def test_an_environment_is_never_chosen_by_default() -> None:
    with pytest.raises(TypeError, match="'id'"):
        EnvConfig()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"id": "CartPoel-v1"}, "^id = 'CartPoel-v1': .* did you mean CartPole-v1"),
        ({"id": "LunarLander-v2"}, "did you mean LunarLander-v3"),
        ({"id": "no_such_module:Thing-v0"}, "^id = 'no_such_module:Thing-v0': cannot import 'no_such_module'"),
        ({"time_limit": 0}, "^time_limit = 0: it takes at least 1"),
        ({"frame_stack": 0}, "^frame_stack = 0: it takes at least 1"),
        ({"observation_indices": ()}, r"^observation_indices = \(\): it takes different integers of at least 0"),
        ({"observation_indices": (1, 1)}, r"^observation_indices = \(1, 1\): it takes different"),
        ({"observation_indices": (0, -1)}, r"^observation_indices = \(0, -1\): it takes different"),
        ({"step_timeout_s": 0}, "^step_timeout_s = 0"),
    ],
)
def test_impossible_configs_are_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        replace(CARTPOLE, **values)
    assert "\n" not in str(error.value)


def test_a_relative_module_is_refused() -> None:
    with pytest.raises(UserError, match=r"^id = '\.foo:Bar-v0': it takes a module's whole name before the colon$"):
        EnvConfig(".foo:Bar-v0")


def test_its_spec_is_found_once_and_stays_in_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    find = configs.find_spec
    monkeypatch.setattr(configs, "find_spec", lambda env_id: looked.append(env_id) or find(env_id))
    config = EnvConfig("CartPole-v1")
    assert config.spec is config.spec
    assert not config.needs_fresh_instance
    assert looked == ["CartPole-v1"]
    copy = pickle.loads(pickle.dumps(config))
    assert "spec" not in vars(copy), "a worker finds it anew, which imports the environment's module there"
    assert copy == config
    assert copy.spec.id == "CartPole-v1"


def test_what_depends_on_earlier_episodes_gets_a_fresh_instance_unless_told_otherwise() -> None:
    walker = EnvConfig("BipedalWalker-v3")
    assert walker.needs_fresh_instance
    assert not replace(walker, fresh_instance=False).needs_fresh_instance
    assert replace(CARTPOLE, fresh_instance=True).needs_fresh_instance
