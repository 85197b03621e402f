"""What the shape of a network may not be."""

from __future__ import annotations

import json

import pytest

from agents.ppo import PPOConfig
from agents.recipes.on_policy import OnPolicyConfig
from envs.config import EnvConfig
from tests.support.networks import Plain, Wrong
from training.errors import UserError
from training.networks import NetworkConfig
from training.options import config_from_tree, config_to_tree, parse_options

CARTPOLE = EnvConfig("CartPole-v1")


def test_impossible_values_are_named() -> None:
    with pytest.raises(UserError, match=r"^hidden = \(64, 0\)"):
        NetworkConfig(hidden=(64, 0))


def test_a_module_is_named_by_its_class_or_path_and_its_arguments_are_checked() -> None:
    config = NetworkConfig(module=Plain, module_kwargs={"width": 3})  # type: ignore[arg-type]
    assert config.module == "tests.support.networks:Plain"
    assert config == NetworkConfig(module=config.module, module_kwargs={"width": 3})
    tree = json.loads(json.dumps(config_to_tree(config)))
    assert config_from_tree(tree, NetworkConfig()) == config
    options = ["--module", "tests.support.networks:Plain", "--module-kwargs", '{"width": 3}']
    assert parse_options(options, NetworkConfig()) == [config]
    with pytest.raises(UserError, match=r"^module_kwargs = \{'width': 3\}: it takes none without a module"):
        NetworkConfig(module_kwargs={"width": 3})
    with pytest.raises(UserError, match=r"^policy\.network\.module = 'tests:Nothing': tests has no 'Nothing'"):
        parse_options(["--policy.network.module", "tests:Nothing"], OnPolicyConfig(agent=PPOConfig(), env=CARTPOLE))


def test_arguments_survive_json() -> None:
    config = NetworkConfig(module=Wrong, module_kwargs={"mistake": (1, {2: 0.5})})  # type: ignore[arg-type]
    assert config_from_tree(json.loads(json.dumps(config_to_tree(config))), NetworkConfig()) == config
    with pytest.raises(UserError, match=r"module_kwargs\.mistake = <built-in function len>: it takes"):
        config_to_tree(NetworkConfig(module=Wrong, module_kwargs={"mistake": len}))  # type: ignore[arg-type]
