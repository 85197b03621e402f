"""A run of a bandit is put together of the parts that its config describes, and says what its pulls have cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agents.acting.evaluation import EvaluationConfig
from agents.bandits import BanditConfig, BanditPolicyConfig
from agents.policies.saved import load_policy
from agents.recipes.bandits import BanditRunConfig, train
from envs.config import EnvConfig
from training.run.run import Run

ARMS = [0.9, 0.4, 0.1]


def test_the_regret_of_all_pulls_is_in_the_result(tmp_path: Path) -> None:
    config = BanditRunConfig(
        agent=BanditConfig(horizon=5),
        policy=BanditPolicyConfig("thompson"),
        env=EnvConfig("envs.tasks:BernoulliBandit-v0", kwargs={"probabilities": ARMS}),
        num_envs=2,
        env_steps=100,
        evaluation=EvaluationConfig(episodes=4, final_episodes=4, num_envs=2),
        device="cpu",
    )
    with Run.create("example", config, folder=tmp_path / "run", tracker="none") as run:
        train(config, run)
    policy = load_policy(tmp_path / "run")
    assert policy.config == config.policy
    assert policy.pulls.sum() == run.result["counters"]["env_steps"] == 100
    assert run.result["counters"]["updates"] == 10
    cost = float(policy.pulls.numpy() @ (0.9 - np.array(ARMS)))
    assert run.result["metrics"]["training/regret"] == pytest.approx(cost)
    assert 0 < cost < 100 * (0.9 - np.mean(ARMS)), "less than of pulls at random"
