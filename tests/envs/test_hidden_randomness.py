"""Environments whose randomness is not their seed's are noticed, with what differs and where it comes from."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from envs.config import EnvConfig
from envs.hidden_randomness import hidden_randomness
from envs.making import make_env
from tests.support.packages import needs

TOY = "tests.support.toy_envs:"


@pytest.mark.parametrize(
    ("kwargs", "what"),
    [
        ({}, "the same seed gives another observation at the reset: it draws from np.random"),
        ({"source": "random"}, "the same seed gives another observation at the reset: it draws from random and"),
        (
            {"source": "torch"},
            "the same seed gives another observation at the reset: it draws from np.random and torch",
        ),
        ({"when": "step"}, "the same seed gives another reward at step 3: it draws from np.random"),
        ({"when": "making"}, "the same seed gives another observation at the reset: it draws from np.random"),
    ],
)
def test_what_differs_is_named_with_the_generator_it_comes_from(kwargs: dict[str, Any], what: str) -> None:
    why = hidden_randomness(EnvConfig(TOY + "DrawsElsewhere-v0", kwargs=kwargs), seed=1)
    assert (why or "").startswith(f"{TOY}DrawsElsewhere-v0: {what}")


def test_so_is_what_no_generator_of_the_process_decides() -> None:
    why = hidden_randomness(EnvConfig(TOY + "Unseeded-v0"), seed=1)
    told = "the same seed gives another observation at the reset: its randomness is not that of its seed"
    assert why == f"{TOY}Unseeded-v0: {told}"


@pytest.mark.parametrize("nested", [False, True])
def test_masks_of_several_numbers_are_heeded_where_it_is_asked(nested: bool) -> None:
    why = hidden_randomness(EnvConfig(TOY + "MaskedPair-v0", kwargs={"nested": nested, "draws": True}), seed=1)
    assert why == f"{TOY}MaskedPair-v0: the same seed gives another reward at step 1: it draws from np.random"


def test_worker_processes_are_asked_too() -> None:
    why = hidden_randomness(EnvConfig(TOY + "DrawsElsewhere-v0", backend="subprocess"), seed=1)
    assert "the same seed gives another observation at the reset" in (why or "")


@pytest.mark.parametrize(
    "env",
    [
        EnvConfig(TOY + "DrawsElsewhere-v0", kwargs={"when": "never"}),  # what it draws is not seen
        EnvConfig(TOY + "RandomWalk-v0"),
        EnvConfig(TOY + "Masked-v0"),
        EnvConfig(TOY + "MaskedPair-v0"),
        EnvConfig(TOY + "Nested-v0"),
        EnvConfig(TOY + "Counting-v0", kwargs={"length": 3}),  # counts the resets of its instance
        EnvConfig(TOY + "Faulty-v0", kwargs={"how": "reset"}),  # its fault is told where it is stepped
        EnvConfig("CartPole-v1"),
        EnvConfig("BipedalWalker-v3"),
    ],
    ids=lambda env: env.id,
)
def test_nothing_is_said_of_an_environment_that_only_its_seed_decides(env: EnvConfig) -> None:
    assert hidden_randomness(env, seed=1) is None


def test_the_generators_of_this_process_stay_as_they_are() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    hidden_randomness(EnvConfig(TOY + "DrawsElsewhere-v0", kwargs={"source": "torch"}), seed=1)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    assert after == before


def test_it_costs_three_instances_and_two_resets(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    def counting(config: EnvConfig, **options: Any) -> Any:
        nonlocal made
        made += 1
        return make_env(config, **options)

    monkeypatch.setattr("envs.making.make_env", counting)
    monkeypatch.setattr("envs.vectors.sub_env.make_env", counting)
    assert hidden_randomness(EnvConfig(TOY + "RandomWalk-v0", kwargs={"end_chance": 0.0}), seed=1) is None
    assert made == 3


@needs("pettingzoo", "multiagent")
@pytest.mark.parametrize("masked", ["", "observation"])
def test_every_agent_of_a_match_acts(masked: str) -> None:
    assert hidden_randomness(EnvConfig("tests.support.toy_matches:Leaving", kwargs={"masked": masked}), seed=1) is None
