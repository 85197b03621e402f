"""Policies as modules of torch: they choose what the policies themselves choose."""

from __future__ import annotations

import pytest
from gymnasium import spaces

from agents.policies.decision_transformer import DecisionTransformerPolicy, DecisionTransformerPolicyConfig
from serving.acting_module import ActingModule, without_noise
from serving.comparison import acting_call, compare
from serving.model_file import as_call
from tests.support.exported import BOUNDED, POLICIES, VECTOR
from training.errors import UserError
from training.seeding import generator


@pytest.mark.parametrize("name", POLICIES)
def test_it_chooses_what_the_policy_chooses(name: str) -> None:
    policy = POLICIES[name]()
    module = ActingModule(policy)
    compared = compare(acting_call(policy), as_call(module), module.signature, rows=500)
    assert compared.same, compared


@pytest.mark.parametrize("name", ["ppo", "dqn", "rainbow", "sac_discrete", "gru"])
def test_it_keeps_to_a_mask(name: str) -> None:
    policy = POLICIES[name]()
    module = ActingModule(policy, action_mask=True)
    assert [value.name for value in module.signature.inputs][:2] == ["obs", "action_mask"]
    compared = compare(acting_call(policy), as_call(module), module.signature, rows=500)
    assert compared.same, compared


def test_its_signature_is_in_the_names_and_units_of_the_environment() -> None:
    told = ActingModule(POLICIES["mixed"]()).signature.as_json()
    assert [(one["name"], one["dtype"], one["shape"]) for one in told["inputs"]] == [
        ("obs/choice", "int64", ["batch"]),
        ("obs/choices", "int64", ["batch", 2]),
        ("obs/numbers", "float32", ["batch", 2, 2]),
        ("obs/yes", "int8", ["batch", 3]),
    ]
    assert [(one["name"], one["dtype"]) for one in told["outputs"]] == [
        ("action/choice", "int64"),
        ("action/choices", "int64"),
        ("action/numbers", "float64"),
        ("action/yes", "int8"),
    ]
    lstm = ActingModule(POLICIES["lstm"]()).signature
    assert [value.name for value in (*lstm.inputs, *lstm.outputs)] == ["obs", "state", "action", "next_state"]
    assert lstm.inputs[1].shape == (2, 16)


def test_the_policy_itself_keeps_its_noise() -> None:
    policy = POLICIES["rainbow"]()
    policy.draw_noise(generator(0, "noise"))  # type: ignore[operator]
    quiet = without_noise(policy)
    noise = [value for name, value in policy.named_buffers() if "noise" in name]
    assert noise
    assert all(value.any() for value in noise)
    assert not any(value.any() for name, value in quiet.named_buffers() if "noise" in name)


def test_it_refuses_what_it_does_not_know() -> None:
    config = DecisionTransformerPolicyConfig()
    other = DecisionTransformerPolicy(VECTOR, spaces.Discrete(2), config, generator(0, "weights"))
    with pytest.raises(UserError, match="a DecisionTransformerPolicy cannot be exported: it takes one of ActorCritic"):
        ActingModule(other)
    assert BOUNDED.shape == (2,)
    with pytest.raises(UserError, match="action_mask = True: it takes False"):
        ActingModule(POLICIES["sac"](), action_mask=True)
