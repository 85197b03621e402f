"""TD3+BC: one update against plain gradients, and what the config refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor

from agents.td3_bc import TD3BC, TD3BCConfig
from tests.support.cases import OfflineCase
from tests.support.offline import ACTOR, SHARED
from tests.support.transitions import BY_SGD, DETERMINISTIC, critics_then_actor, make_actor, make_batch
from training.core import Budget
from training.errors import UserError
from training.optimizer import OptimizerConfig

CASES = {
    "td3_bc": OfflineCase(
        algorithm=TD3BC,
        config=TD3BCConfig(value_weight=10.0, **SHARED),
        policy=replace(ACTOR, distribution="deterministic"),
    )
}
RESUMED = {"td3_bc_pendulum": ["--epochs", "20", "--agent.minibatch-size", "48"]}


def test_it_weighs_the_value_by_its_mean_size() -> None:
    config = TD3BCConfig(**BY_SGD, policy_delay=1, smoothing_std=0.0, value_weight=2.5)
    agent, batch = TD3BC(make_actor(DETERMINISTIC), config, until=Budget(9), seed=1), make_batch(discrete=False)

    def actor_loss(action: Tensor, value: Tensor) -> Tensor:
        weight = 2.5 / value.abs().mean().detach()
        return (action - batch["action"]).square().mean() - weight * value.mean()

    critics_then_actor(agent, batch, members=2, actor_loss=actor_loss)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value_weight": -1.0}, "value_weight = -1.0"),
        (
            {"actor_optimizer": OptimizerConfig(micro_batches=2)},
            r"actor_optimizer\.micro_batches = 2: it takes 1: the value's weight",
        ),
    ],
)
def test_impossible_numbers_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TD3BCConfig(**changes)
