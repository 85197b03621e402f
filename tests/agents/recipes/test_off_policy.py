"""An off-policy run is put together of the parts that its config describes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.acting.evaluation import EvaluationConfig
from agents.acting.recording import save
from agents.dqn import DQNConfig
from agents.policies.actor import Actor, ActorConfig
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.recipes.off_policy import OffPolicyConfig, make_policy, train
from agents.replay.replay import ReplayConfig
from agents.sac import SACConfig
from envs.config import EnvConfig
from envs.making import make_vec
from tests.support.fake_agents import attentive
from tests.support.recorded import record_random
from training.core import Budget
from training.errors import UserError
from training.run.run import Run

SHORT = EvaluationConfig(episodes=2, final_episodes=2, num_envs=2)
REPLAY = ReplayConfig(warmup_env_steps=20, minibatch_size=16, gradient_steps=2, horizon=5)


def config(**changes: Any) -> OffPolicyConfig:
    given: dict[str, Any] = {"agent": DQNConfig(), "policy": QNetworkConfig(), "replay": REPLAY, "env_steps": 40}
    env = EnvConfig("CartPole-v1")
    return OffPolicyConfig(**{"env": env, "evaluation": SHORT, "device": "cpu", **given, **changes})


def test_the_agent_gets_minibatches_from_the_end_of_the_warm_up_on(tmp_path: Path) -> None:
    make, given = attentive(), config(seed=3)
    with Run.create("example", given, folder=tmp_path / "run", tracker="none") as run:
        train(given, run, make)
    (agent,) = make.made
    assert (agent.config, agent.until, agent.seed) == (given.agent, Budget(40), 3)
    assert agent.more == {"minibatch_size": 16}
    assert {len(batch["reward"]) for batch in agent.batches} == {2 * 16}
    assert run.result["counters"]["env_steps"] >= 40
    assert run.result["counters"]["updates"] == len(agent.batches)


def test_the_sign_of_rewards_is_learned_from_and_their_sum_is_measured(tmp_path: Path) -> None:
    env = EnvConfig("CartPole-v1", wrappers=("tests.support.toy_wrappers:scaled(by=-7.0)",), time_limit=5)
    replay = ReplayConfig(warmup_env_steps=20, minibatch_size=64, horizon=5, n_step=2)
    make, given = attentive(), config(clip_reward=True, env=env, replay=replay)
    with Run.create("example", given, folder=tmp_path / "run", tracker="none") as run:
        train(given, run, make)
    for batch in make.made[0].batches:  # the last step of an episode has one reward left
        assert sorted(set(batch["reward"].tolist())) == pytest.approx([-1.0 - given.agent.gamma, -1.0])
    assert run.result["metrics"]["evaluation/return_mean"] == -35.0
    rows = [json.loads(row) for row in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert {row["rollout/return_mean"] for row in rows if "rollout/return_mean" in row} == {-35.0}


def test_hindsight_asks_the_environment_for_its_rewards(tmp_path: Path) -> None:
    given = config(replay=ReplayConfig(warmup_env_steps=20, minibatch_size=16, hindsight_fraction=0.8))
    run = Run.create("example", given, folder=tmp_path / "run", tracker="none")
    with pytest.raises(UserError, match="hindsight"), run:
        train(given, run, attentive())


def test_a_policy_is_of_its_configs_kind() -> None:
    pole, pendulum = (make_vec(EnvConfig(name), 1, seed=0) for name in ("CartPole-v1", "Pendulum-v1"))
    assert isinstance(make_policy(QNetworkConfig(), pole.observation_space, pole.action_space, 1), QNetwork)
    assert isinstance(make_policy(ActorConfig(), pendulum.observation_space, pendulum.action_space, 1), Actor)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env_steps": 20}, "replay.warmup_env_steps = 20: it takes fewer than the 20 env steps of the run"),
        (
            {"agent": SACConfig(), "policy": ActorConfig(), "replay": ReplayConfig(priority_exponent=0.5)}
            | {"env_steps": 2_000},
            "replay.priority_exponent = 0.5: it takes 0: SACConfig draws all transitions alike",
        ),
        (
            {"clip_reward": True, "replay": ReplayConfig(warmup_env_steps=20, hindsight_fraction=0.8)},
            "clip_reward = True: it takes False with replay.hindsight_fraction: the rewards of other goals come from "
            "the environment as they are",
        ),
    ],
)
def test_what_does_not_fit_together_is_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        config(**changes)
    assert str(error.value) == message


def test_a_dataset_is_its_share_of_every_minibatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The actions of the dataset are of the policy's own range, and its rewards clipped as the others are."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    env = EnvConfig("Pendulum-v1", time_limit=10)
    episodes, seeds = record_random(env, 5)
    save("tiny/pendulum-v0", replace(episodes, reward=np.full(50, 7.0)), seeds, env, algorithm="none", told={})
    replay = replace(REPLAY, data_fraction=0.25)
    given = config(
        agent=SACConfig(), policy=ActorConfig(), env=env, replay=replay, dataset="tiny/pendulum-v0", clip_reward=True
    )
    make = attentive()
    with Run.create("example", given, folder=tmp_path / "run", tracker="none") as run:
        train(given, run, make)
        batches = make.made[0].batches
        learned = set((episodes.action["action"] / 2).flatten().tolist())  # from [-2, 2] to [-1, 1]
        assert len(batches) > 1
        for batch in batches:
            from_data = batch["reward"].reshape(2, 16) == 1.0  # Pendulum's own are below 0
            assert from_data[:, :12].sum() == 0
            assert from_data[:, 12:].all()
            assert set(batch["action"].reshape(2, 16)[:, 12:].flatten().tolist()) <= learned
        other, other_seeds = record_random(env, 5, seed=9)
        shutil.rmtree(tmp_path / "datasets")
        save("tiny/pendulum-v0", other, other_seeds, env, algorithm="none", told={})
        with pytest.raises(UserError, match="tiny/pendulum-v0"):
            train(given, run, make)


def test_a_dataset_needs_transitions_that_are_all_alike(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"replay\.priority_exponent = 0.6: it takes 0 with a dataset"):
        config(replay=replace(REPLAY, priority_exponent=0.6), dataset="tiny/cartpole-v0")
    masked = config(env=EnvConfig("tests.support.toy_envs:Masked-v0"), dataset="tiny/masked-v0")
    with (
        Run.create("example", masked, folder=tmp_path / "run", tracker="none") as run,
        pytest.raises(UserError, match="dataset = 'tiny/masked-v0': it takes None where actions are masked"),
    ):
        train(masked, run, attentive())
