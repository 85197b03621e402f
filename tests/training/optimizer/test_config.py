"""What an optimizer is made of: rules, values that are impossible, and what can be compiled."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest
from gymnasium import spaces
from torch import nn

from tests.support import ROOT
from tests.support.optimizers import (
    network,
    optimizer_for,
)
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Rule, Schedule
from training.optimizer.config import all_can_compile, assign_rules, with_compile
from training.options import config_from_tree, config_to_tree, parse_options
from training.seeding import generator


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ((Rule("policy.*"), Rule("*")), r"pattern 'policy\.\*' matches none of 0\.weight, 0\.bias"),
        ((Rule("*"), Rule("0.*", frozen=True)), r"pattern '0\.\*' only matches what earlier rules took"),
        ((Rule("0.*"),), r"no pattern matches parameter '2\.weight'"),
        ((Rule("*", frozen=True),), r"freeze every parameter"),
        ((Rule("0.weight"), Rule("*", kind="muon")), r"parameter '0\.bias' of shape \[8\] cannot have kind 'muon'"),
    ],
)
def test_wrong_rules_name_the_pattern_or_the_parameter(rules: tuple[Rule, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        optimizer_for(network(), rules=rules)


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": -1e-3},
        {"learning_rate": math.nan},
        {"weight_decay": -1.0},
        {"betas": (0.9, 1.0)},
        {"max_grad_norm": 0.0},
        {"micro_batches": 0},
        {"ema_decay": 1.0},
        {"momentum": 0.9},  # adam has none
        {"kind": "sgd", "eps": 1e-5},
    ],
)
def test_impossible_values_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"^{list(wrong)[-1]} = "):
        OptimizerConfig(**wrong)


def test_the_config_goes_through_the_command_line_and_json() -> None:
    rules = (Rule("0.*", schedule=Schedule("linear")), Rule("*"))
    given_rules = ['{"pattern": "0.*", "schedule": {"kind": "linear"}}', '{"pattern": "*"}']
    args = ["--learning-rate", "0.1", "--betas", "0.5", "0.6", "--rules", *given_rules]
    (config,) = parse_options(args, OptimizerConfig())
    assert config == OptimizerConfig(learning_rate=0.1, betas=(0.5, 0.6), rules=rules)
    assert config_from_tree(json.loads(json.dumps(config_to_tree(config))), OptimizerConfig()) == config


def test_no_compiler_is_imported_for_an_eager_update() -> None:
    """Torch's own sgd and rmsprop import it in their first step, if nobody does before."""
    code = """
import sys, torch
from training.core import Budget, Counters
from training.optimizer import Loss, Optimizer
from training.optimizer import OptimizerConfig
for kind in ("adam", "adamw", "muon"):
    w = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = Optimizer({"w": w}, OptimizerConfig(kind), until=Budget(1, "updates"))
    optimizer.step(lambda batch: Loss((w * batch["x"]).sum(), 1, {}), {"x": torch.ones(2)}, Counters())
    optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    "options", [{"kind": "sgd"}, {"micro_batches": 2}, {"precision": "fp16"}, {"rules": (Rule("*", kind="muon"),)}]
)
def test_what_cannot_be_compiled_is_said(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"compile = True: it takes kinds adam and adamw, one micro-batch and no fp16"):
        OptimizerConfig(**options, compile=True)
    assert not OptimizerConfig(**options).can_compile


def test_all_optimizers_of_an_algorithm_are_compiled_together() -> None:
    from agents.a2c import A2CConfig
    from agents.reinforce import ReinforceConfig

    config = with_compile(ReinforceConfig(), True)  # noqa: FBT003
    assert (config.policy_optimizer.compile, config.baseline_optimizer.compile) == (True, True)
    assert all_can_compile(ReinforceConfig())
    assert not all_can_compile(A2CConfig())


def test_only_the_weights_of_layers_decay() -> None:
    """By their names in the networks of this project."""
    from agents.policies.actor import Actor, ActorConfig
    from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
    from agents.policies.q_network import QNetwork, QNetworkConfig
    from agents.updates.critics import Critics, prefixed
    from agents.updates.soft import Temperature

    rng, shape = generator(1), NetworkConfig(hidden=(4,), layer_norm=True)
    obs, act = spaces.Box(-1, 1, (3,)), spaces.Box(-1, 1, (2,))
    actor = Actor(obs, act, ActorConfig(shape, distribution="state_dependent"), rng)
    critics = Critics(actor, shape, rng, members=2, renormalized=True)
    q = QNetwork(obs, spaces.Discrete(2), QNetworkConfig(NetworkConfig(hidden=(4,)), noisy_std=0.5), rng)
    model = nn.ModuleDict({"policy": ActorCritic(obs, act, ActorCriticConfig(shape), rng), "actor": actor, "q": q})
    parameters = {
        **dict(model.named_parameters()),
        **prefixed("critics", critics),
        "log_temperature": Temperature(1.0, 0.0).log,
    }
    rules = assign_rules(parameters, OptimizerConfig("adamw", weight_decay=0.1), "optimizer")
    assert {rule.weight_decay for rule in rules.values()} == {0.0, 0.1}
    assert {key for key, rule in rules.items() if rule.weight_decay} == {
        *("policy.actor.0.weight", "policy.actor.3.weight", "policy.critic.0.weight", "policy.critic.3.weight"),
        *("actor.trunk.0.weight", "actor.last.weight", "q.q.0.weight", "q.q.2.weight"),
        *("critics.ensemble.weights.0", "critics.ensemble.weights.1"),
    }
    own = OptimizerConfig("adamw", rules=(Rule("*bias", weight_decay=0.3), Rule("*")), weight_decay=0.1)
    assert assign_rules(parameters, own, "optimizer")["q.q.0.bias"].weight_decay == 0.3, "a rule says what it says"
