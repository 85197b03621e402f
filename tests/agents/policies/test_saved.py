"""Saved policies: they are built from their state alone, with the averaged weights, and only classes of agents/ are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.policies.actor_critic import ActorCritic
from agents.policies.saved import build_policy, load_policy, policy_of
from agents.ppo import PPO, PPOConfig
from tests.support.actor_critics import SMALL, make_policy
from tests.support.runs import create
from training.core import Budget, Counters, Every
from training.errors import UserError
from training.optimizer import OptimizerConfig
from training.run.checkpoint import CheckpointConfig
from training.seeding import generator


def test_a_saved_policy_is_built_from_its_name_alone() -> None:
    policy = ActorCritic(spaces.Box(-1.0, 1.0, (2,)), spaces.Discrete(2), SMALL, generator(1, "weights"))
    built = build_policy(policy.save())
    assert type(built) is ActorCritic
    assert built.config == SMALL


@pytest.mark.parametrize(
    "kind",
    ["Nothing", "NetworkPolicy", "Critics", "PPO", "ActorCriticConfig", "os.path", "Actor(NetworkPolicy):\n", ""],
)
def test_only_a_policy_of_this_package_is_built(kind: str) -> None:
    saved = ActorCritic(spaces.Box(-1.0, 1.0, (2,)), spaces.Discrete(2), SMALL, generator(1, "weights")).save()
    with pytest.raises(UserError, match=r"the saved policy is a .*: it takes a class of agents/"):
        build_policy(saved | {"kind": kind})


@pytest.mark.parametrize("shared", [True, False])
def test_all_averaged_weights_are_loaded_and_none_other(shared: bool) -> None:
    space = spaces.Dict({"picture": spaces.Box(0, 255, (8, 8, 1), np.uint8), "number": spaces.Box(-1, 1, (1,))})
    policy = ActorCritic(space, spaces.Discrete(2), replace(SMALL, shared_encoder=shared), generator(1))
    config = PPOConfig(minibatch_size=4, optimizer=OptimizerConfig(learning_rate=0.1, ema_decay=0.5))
    agent = PPO(policy, config, until=Budget(10), seed=1)
    rng = generator(2)
    batch = {
        "obs/picture": torch.randint(0, 256, (5, 2, 8, 8, 1), generator=rng, dtype=torch.uint8),
        "obs/number": torch.randn(5, 2, 1, generator=rng),
        "action": torch.randint(0, 2, (4, 2), generator=rng),
        "reward": torch.randn(4, 2, generator=rng),
        "terminated": torch.zeros(4, 2, dtype=torch.bool),
        "truncated": torch.zeros(4, 2, dtype=torch.bool),
        "final_index": torch.zeros(0, 2, dtype=torch.int64),
    }
    agent.update(batch, Counters())
    state = agent.state_dict()
    loaded = dict(policy_of(state).named_parameters())
    averages = state["optimizer"]["averages"]
    assert averages.keys() == loaded.keys()
    for key, value in loaded.items():
        assert torch.equal(value, averages[key]), key
        assert not torch.equal(value, dict(policy.named_parameters())[key]), key


def test_a_policy_is_loaded_from_the_checkpoint_that_is_asked_for(tmp_path: Path) -> None:
    """The first of two checkpoints was the best; both policies act as they did when they were saved."""
    policy, folder = make_policy(spaces.Discrete(3)), tmp_path / "run"
    agent: Any = SimpleNamespace(state_dict=lambda: {"policy": policy.save()}, load_state_dict=None)
    obs = {"obs": torch.randn(5, 3, generator=generator(2))}
    values = []
    with create(folder) as run:
        run.open_log(Every(1, "updates"), Budget(2, "updates"))
        checkpoint = run.checkpoint({"agent": agent}, CheckpointConfig())
        for updates in (1, 2):
            with torch.no_grad():
                policy.critic[-1].bias.add_(1.0)  # type: ignore[operator, arg-type]
            checkpoint.score(-updates, Counters(updates=updates))
            checkpoint.save(Counters(updates=updates))
            values.append(policy.value(obs))
    assert torch.equal(load_policy(folder, "best").value(obs), values[0])
    assert torch.equal(load_policy(folder).value(obs), values[1])
    assert not torch.equal(values[0], values[1])
    with pytest.raises(UserError, match="nothing"):
        load_policy(tmp_path / "nothing")
