"""A run of the Decision Transformer learns from windows of the dataset, in which every step begins one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from agents.acting.evaluation import EvaluationConfig
from agents.acting.recording import save
from agents.decision_transformer import DecisionTransformerConfig
from agents.policies.saved import load_policy
from agents.recipes.decision_transformer import DecisionTransformerRunConfig, train
from envs.config import EnvConfig
from tests.support.decision_transformers import SMALL
from tests.support.recorded import record_random
from training.core import Every
from training.run.run import Run

PENDULUM = EnvConfig("Pendulum-v1", time_limit=20)


def test_it_learns_from_every_step_once_in_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    episodes, seeds = record_random(PENDULUM, 10)
    save("tiny/pendulum-v0", episodes, seeds, PENDULUM, algorithm="none", told={})
    config = DecisionTransformerRunConfig(
        agent=DecisionTransformerConfig(minibatch_size=30),
        policy=SMALL,
        env=PENDULUM,
        dataset="tiny/pendulum-v0",
        epochs=2,
        device="cpu",
        evaluation=EvaluationConfig(every=Every(1, "epochs"), episodes=2, final_episodes=2, num_envs=2),
    )
    with Run.create("example", config, folder=tmp_path / "run", tracker="none") as run:
        train(config, run)
    assert run.result["counters"] == {"env_steps": 0, "updates": 2 * 7, "samples": 2 * 200, "epochs": 2}
    over = run.result["metrics"]["evaluation/return_mean"] - episodes.returns.mean()
    assert run.result["metrics"]["evaluation/return_over_behaviour"] == pytest.approx(over)
    policy: Any = load_policy(tmp_path / "run")
    assert policy.config == SMALL
    seen = torch.from_numpy(episodes.obs["obs"][episodes.obs_rows]).double()
    torch.testing.assert_close(policy.normalizers["obs"].mean, seen.mean(0))
