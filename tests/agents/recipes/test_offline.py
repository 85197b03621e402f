"""What is read for a policy that learns from a dataset, and how both are brought together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.acting.recording import save
from agents.bc import BCConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.recipes import offline
from agents.recipes.cloning import BCRunConfig
from envs.config import EnvConfig
from envs.episodes.episodes import Episodes
from tests.support.recorded import record_random
from training.core import Budget
from training.errors import UserError
from training.run.run import Run
from training.seeding import generator

PENDULUM = EnvConfig("Pendulum-v1", time_limit=20)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Episodes:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    episodes, seeds = record_random(PENDULUM, 10)
    save("tiny/pendulum-v0", episodes, seeds, PENDULUM, algorithm="none", told={})
    return episodes


def config(**changes: Any) -> BCRunConfig:
    given: dict[str, Any] = {"agent": BCConfig(minibatch_size=30), "env": PENDULUM, "dataset": "tiny/pendulum-v0"}
    return BCRunConfig(**{**given, "epochs": 3, "device": "cpu", **changes})


def test_the_best_episodes_are_read_and_compared_with_all_of_them(
    tiny: Episodes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Run.create("example", config(), folder=tmp_path / "run", tracker="none") as run:
        data = offline.read_data(config(), "tiny/pendulum-v0", run, top_fraction=0.3)
        assert data.episodes.sha256 == tiny.top(0.3).sha256
        assert data.behaviour_return == pytest.approx(tiny.returns.mean())
        assert data.action_space == tiny.action_space
        assert "3 of 10 episodes, 60 env steps; its mean return is" in capsys.readouterr().err
        assert offline.read_data(config(), "tiny/pendulum-v0", run).episodes.sha256 == tiny.sha256
        with pytest.raises(UserError, match="top_fraction = 2"):
            offline.read_data(config(), "tiny/pendulum-v0", run, top_fraction=2)


def test_a_policy_is_prepared_by_what_it_learns_from(tiny: Episodes, tmp_path: Path) -> None:
    shape = ActorCriticConfig(normalize_observation=True)
    policy = ActorCritic(tiny.observation_space, tiny.action_space, shape, generator(1))
    with Run.create("example", config(), folder=tmp_path / "run", tracker="none") as run:
        episodes, compute, until = offline.prepare(config(), run, policy, tiny)
    assert until == Budget(3 * 7, "updates"), "200 steps in minibatches of 30 are seven, the last a smaller one"
    assert compute.device == torch.device("cpu")
    np.testing.assert_allclose(episodes.action["action"], tiny.action["action"] / 2, rtol=1e-6)
    seen = torch.from_numpy(tiny.obs["obs"][tiny.obs_rows]).double()
    normalizer: Any = policy.normalizers["obs"]
    torch.testing.assert_close(normalizer.mean, seen.mean(0))


def test_the_budget_must_be_something() -> None:
    with pytest.raises(UserError, match="epochs = 0: it takes at least 1"):
        config(epochs=0)
    assert config().until == Budget(3, "epochs")
