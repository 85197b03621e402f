"""What an optimizer is made of: rules, values that are impossible, and what can be compiled."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.optimizers import (
    network,
    optimizer_for,
)
from training.errors import UserError
from training.optimizer import OptimizerConfig, Rule, Schedule
from training.optimizer.config import all_can_compile, with_compile
from training.options import config_from_tree, config_to_tree, parse_options


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
