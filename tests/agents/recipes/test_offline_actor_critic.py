"""A run of an offline actor-critic draws transitions of the dataset, with a budget in minibatches."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.acting.evaluation import EvaluationConfig
from agents.acting.recording import save
from agents.iql import IQLConfig
from agents.recipes.offline_actor_critic import DatasetReplay, OfflineActorCriticConfig, train
from envs.config import EnvConfig
from tests.support.fake_agents import attentive
from tests.support.recorded import record_random
from training.core import Budget, Counters, Every
from training.run.run import Run

PENDULUM = EnvConfig("Pendulum-v1", time_limit=20)


def test_minibatches_go_on_from_one_epoch_into_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    episodes, seeds = record_random(PENDULUM, 10)
    save("tiny/pendulum-v0", episodes, seeds, PENDULUM, algorithm="none", told={})
    evaluation = EvaluationConfig(every=Every(1, "epochs"), episodes=2, final_episodes=2, num_envs=2)
    config = OfflineActorCriticConfig(
        agent=IQLConfig(minibatch_size=30),
        env=PENDULUM,
        dataset="tiny/pendulum-v0",
        epochs=3,
        device="cpu",
        evaluation=evaluation,
    )
    make = attentive()
    with Run.create("example", config, folder=tmp_path / "run", tracker="none") as run:
        train(config, run, make)
    (agent,) = make.made
    assert (agent.until, agent.seed) == (Budget(20, "updates"), 1), "three times 200 steps, thirty at a time"
    assert [len(batch["reward"]) for batch in agent.batches] == [30] * 20
    assert run.result["counters"]["epochs"] == 3
    over = run.result["metrics"]["evaluation/return_mean"] - episodes.returns.mean()
    assert run.result["metrics"]["evaluation/return_over_behaviour"] == pytest.approx(over)


def test_a_loaded_stream_draws_on_to_the_bit() -> None:
    episodes, _ = record_random(PENDULUM, 4)
    stream, again = (DatasetReplay(episodes, 16, gamma=0.9, seed=seed) for seed in (1, 2))
    stream.next(Counters())
    again.load_state_dict(stream.state_dict())
    first, second = stream.next(Counters())[0], again.next(Counters())[0]
    assert all(first[key].equal(second[key]) for key in first)
