"""Replay: minibatches from the whole buffer, priorities, goals that were reached later, and exact continuation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.replay.replay import ReplayConfig, goal_reward
from envs.config import EnvConfig
from envs.single import make_env
from tests.support.memory import machine_of
from tests.support.replay import COUNTING, SHORT, Stream
from training.core import Batch, Every
from training.errors import UserError
from training.run.checkpoint import Checkpoint


@pytest.mark.parametrize("more", [{}, {"n_step": 3, "priority_exponent": 0.5}])
def test_each_observation_keeps_its_mask_also_the_last_one_of_an_episode(more: dict[str, Any]) -> None:
    config = ReplayConfig(capacity=400, warmup_env_steps=10, horizon=5, minibatch_size=64, **more)
    stream = Stream(EnvConfig("tests.support.toy_envs:Masked-v0"), config)
    for _ in range(5):
        batch = stream.next()
        assert batch["action_mask"].gather(1, batch["action"].unsqueeze(1)).all()
        # It observes which action is not allowed.
        assert torch.equal(batch["action_mask"].int().argmin(1), batch["obs"])
        assert torch.equal(batch["next_action_mask"].int().argmin(1), batch["next_obs"])


def test_a_policy_that_normalizes_has_statistics_of_the_warm_up_before_the_first_update() -> None:
    config = ReplayConfig(capacity=400, warmup_env_steps=30, horizon=5, minibatch_size=8)
    stream = Stream(SHORT, config, normalize_observation=True)
    stream.next()
    normalizer = stream.policy.normalizers["obs"]
    assert normalizer.count == 30
    assert stream.now.env_steps == 30 + 3 * 5
    stream.next()
    assert normalizer.count == 30, "from now on they move after an update"


def test_each_minibatch_is_drawn_from_the_whole_buffer() -> None:
    config = ReplayConfig(
        capacity=2_000, warmup_env_steps=900, gradient_steps=4, minibatch_size=64, priority_exponent=0.5
    )
    batch = Stream(SHORT, config).next()
    for part in batch["index"].split(64):
        assert part.min() < 200
        assert part.max() > 700
    for part in batch["weight"].split(64):
        assert part.max() == 1


def test_an_error_that_is_no_number_is_no_priority() -> None:
    config = ReplayConfig(capacity=400, warmup_env_steps=20, minibatch_size=8, priority_exponent=0.5)
    stream = Stream(SHORT, config)
    batch = stream.next()
    stream.replay.learned({"index": batch["index"], "priority": torch.full((8,), torch.nan)})
    batch = stream.next()
    assert len(batch["index"].unique()) > 3
    assert batch["weight"].isfinite().all()


def test_reset_transitions_are_no_transitions() -> None:
    """Gymnasium's own vector class resets one step late."""
    env = EnvConfig("CartPole-v1", backend="vector-entry-point", time_limit=6)
    stream = Stream(env, ReplayConfig(capacity=1_000, warmup_env_steps=0, horizon=20, minibatch_size=200))
    batch = stream.next()
    moved = (batch["next_obs"][:, 0] - batch["obs"][:, 0]).abs()
    assert (moved < 0.06).all()
    assert (batch["reward"] == 1).all()
    assert stream.now.env_steps == stream.replay._buffer.transitions


@pytest.mark.parametrize("priority", [0.0, 0.6])
@pytest.mark.parametrize("capacity", [60, 400])
def test_a_loaded_state_draws_on_to_the_bit(capacity: int, priority: float, tmp_path: Path) -> None:
    config = ReplayConfig(
        capacity=capacity, warmup_env_steps=20, horizon=4, minibatch_size=16, n_step=2, priority_exponent=priority
    )
    first, second = Stream(SHORT, config), Stream(SHORT, config)
    for _ in range(7):
        learn(first)
    second.next()  # a state that the loaded one must replace
    checkpoints = [Checkpoint(tmp_path, {"stream": stream.replay}, every=Every(1)) for stream in (first, second)]
    checkpoints[0].save(first.now)
    second.now = checkpoints[1].restore()
    for _ in range(20):
        one, other = learn(first), learn(second)
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert torch.equal(value, other[key]), key


def learn(stream: Stream) -> Batch:
    batch = stream.next()
    if "index" in batch:
        stream.replay.learned({"index": batch["index"], "priority": batch["reward"] + 0.1})
    return batch


def test_priorities_decide_how_often_a_transition_is_drawn_and_weights_undo_it() -> None:
    stream = Stream(
        COUNTING,
        ReplayConfig(
            capacity=8_000,
            warmup_env_steps=0,
            horizon=30,
            minibatch_size=4_000,
            priority_exponent=0.5,
            importance_exponent=1.0,
        ),
        num_envs=1,
    )
    batch = stream.next()
    counts = np.bincount(batch["index"].numpy())
    assert counts[counts > 0].max() - counts[counts > 0].min() <= 2, "new ones have equal priorities"
    priority = torch.where(batch["obs"][:, 0] == 1, 16.0, 1.0)
    stream.replay.learned({"index": batch["index"], "priority": priority})
    batch, _, _ = stream.replay.next(stream.now)
    is_one = batch["obs"][:, 0] == 1
    old = batch["index"] < 30
    rows_one, rows_other = (
        len(set(batch["index"][is_one & old].tolist())),
        len(set(batch["index"][~is_one & old].tolist())),
    )
    often = (is_one & old).sum() / rows_one / ((~is_one & old).sum() / rows_other)
    assert often == pytest.approx(4.0, rel=0.2)  # the root of 16
    weight = batch["weight"]
    assert weight.max() == 1
    assert weight[~is_one & old].mean() / weight[is_one & old].mean() == pytest.approx(4.0, rel=1e-3)


GOALS = EnvConfig("tests.support.learning_envs:Walk-v0")


def test_hindsight_gives_goals_that_were_reached_later_in_the_same_episode() -> None:
    env = make_env(GOALS)
    config = ReplayConfig(capacity=80, warmup_env_steps=0, horizon=7, minibatch_size=64, hindsight_fraction=1.0)
    stream = Stream(GOALS, config, num_envs=2)
    stream.replay._compute_reward = goal_reward(env)
    for _ in range(25):
        batch = stream.next()
        at, goal = batch["obs/observation"], batch["obs/desired_goal"]
        # It walks on by one step each time, so the goals reached later lie ahead, up to the end of the episode.
        assert (goal > at).all()
        assert (goal <= at - at % 10 + 10).all()
        assert torch.equal(goal, batch["next_obs/desired_goal"])
        reached = (batch["next_obs/achieved_goal"] == goal).flatten()
        assert torch.equal(batch["reward"], torch.where(reached, 0.0, -1.0))
    assert reached.any()
    assert not reached.all()


def test_without_hindsight_goals_stay_and_with_a_fraction_some_change() -> None:
    changed = []
    for fraction in (0.0, 0.8):
        config = ReplayConfig(
            capacity=800, warmup_env_steps=0, horizon=50, minibatch_size=500, hindsight_fraction=fraction
        )
        stream = Stream(GOALS, config, num_envs=2)
        stream.replay._compute_reward = goal_reward(make_env(GOALS))
        batch = stream.next()
        changed.append(float((batch["obs/desired_goal"] != -1).float().mean()))
    assert changed[0] == 0
    assert changed[1] == pytest.approx(0.8, abs=0.06)


def test_without_another_goal_the_reward_is_the_environments_own() -> None:
    config = ReplayConfig(capacity=800, warmup_env_steps=0, horizon=50, minibatch_size=500, hindsight_fraction=0.5)
    stream = Stream(GOALS, config, num_envs=2)
    stream.replay._compute_reward = lambda achieved_goal, desired_goal, info: np.full(len(achieved_goal), 7.0)
    batch = stream.next()
    changed = (batch["obs/desired_goal"] != -1).flatten()
    assert changed.any()
    assert (batch["reward"][changed] == 7).all()
    assert (batch["reward"][~changed] <= 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"capacity": 100}, "capacity = 100: it takes at least the 256 of a minibatch"),
        ({"minibatch_size": 1}, "minibatch_size = 1"),
        ({"warmup_env_steps": 1_000_000}, "warmup_env_steps = 1000000"),
        ({"n_step": 0}, "n_step = 0"),
        ({"priority_exponent": 1.5}, "priority_exponent = 1.5"),
        ({"hindsight_fraction": 0.8, "n_step": 3}, "hindsight_fraction = 0.8: it takes 0 together with n_step"),
    ],
)
def test_what_cannot_work_is_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ReplayConfig(**changes)


def test_a_buffer_that_cannot_hold_what_is_collected_is_one_line() -> None:
    config = ReplayConfig(capacity=20, warmup_env_steps=0, horizon=30, minibatch_size=8)
    with pytest.raises(UserError, match=r"replay\.capacity = 20: it takes more than 180: 30 steps of each environment"):
        Stream(COUNTING, config)


def test_an_environment_without_goals_is_one_line() -> None:
    with pytest.raises(UserError, match="CartPole-v1 has no goals; it takes an environment whose observation has"):
        goal_reward(make_env(EnvConfig("CartPole-v1")))


def test_its_size_in_memory_is_measured() -> None:
    config = ReplayConfig(capacity=100, warmup_env_steps=0, minibatch_size=4)
    stream = Stream(EnvConfig("CartPole-v1"), config, num_envs=1)
    _, _, metrics = stream.replay.next(stream.now)
    # obs 4 float32, action int64, reward float32, terminated, acted, episode_end int64
    assert metrics["replay/size_bytes"].value == 100 * (16 + 8 + 4 + 1 + 1 + 8)


@pytest.mark.parametrize("priority_exponent", [0.0, 0.5])
def test_its_memory_is_known_before_the_first_step(
    priority_exponent: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ReplayConfig(capacity=400, warmup_env_steps=20, minibatch_size=8, priority_exponent=priority_exponent)
    for env in (SHORT, EnvConfig("tests.support.learning_envs:Walk-v0")):
        filled = Stream(env, config)
        filled.next()
        taken = filled.replay._buffer.nbytes
        machine_of(taken, taken, monkeypatch)
        Stream(env, config)
        assert capsys.readouterr().err == ""
        machine_of(taken, taken - 1, monkeypatch)
        Stream(env, config)
        told = capsys.readouterr().err
        assert told.startswith("warning: replay.capacity = 400: the replay memory takes 0.")
        assert told.endswith("free now; a smaller replay.capacity takes less\n")
        assert told.count("\n") == 1
        machine_of(taken - 1, taken - 1, monkeypatch)
        with pytest.raises(UserError, match=r"replay\.capacity = 400: the replay memory takes .*and this machine has"):
            Stream(env, config)
        monkeypatch.undo()
