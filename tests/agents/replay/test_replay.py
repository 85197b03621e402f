"""Replay: what is drawn is what happened, at ends and at the seam of the ring too, however it is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.acting.collector import Group, LocalCollector
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.replay.buffer import ReplayBuffer
from agents.replay.replay import Replay, ReplayConfig, goal_reward
from agents.replay.sum_tree import SumTree
from envs.config import EnvConfig
from envs.making import make_vec
from envs.single import make_env
from training.core import Batch, Budget, Counters, Every
from training.errors import UserError
from training.networks import NetworkConfig
from training.run.checkpoint import Checkpoint
from training.seeding import generator

COUNTING = EnvConfig("tests.support.learning_envs:CountingEpisodes-v0")
"""Episodes of 3, 4, 5, 3, ... steps, every second one truncated; it observes (step, episode), reward is the step."""

SHORT = EnvConfig("CartPole-v1", time_limit=7)


class Stream:
    """A buffer that is filled by acting."""

    def __init__(self, env: EnvConfig, config: ReplayConfig, num_envs: int = 3, gamma: float = 0.5) -> None:
        self.collector = LocalCollector(lambda index: Group(make_vec(env, num_envs, seed=3), seed=1, index=index))
        network = QNetworkConfig(NetworkConfig(hidden=(8,), activation="relu"))
        self.policy = QNetwork(self.collector.observation_space, self.collector.action_space, network, generator(1))
        until = Budget(1_000)
        self.replay = Replay(self.collector, self.policy, config, gamma=gamma, until=until, seed=1)
        self.now = Counters()

    def next(self) -> Batch:
        batch, self.now, _ = self.replay.next(self.now)
        return batch


def episode_length(episode: float) -> int:
    return 3 + int(episode) % 3


@pytest.mark.parametrize("n_step", [1, 2, 4])
@pytest.mark.parametrize("capacity", [10, 12, 31, 200])
def test_a_transition_is_what_happened(capacity: int, n_step: int) -> None:
    """The environment counts, so each transition says by itself what must have followed."""
    config = ReplayConfig(capacity=capacity, warmup_env_steps=0, horizon=2, minibatch_size=8, n_step=n_step)
    stream = Stream(COUNTING, config, num_envs=2)
    newest = np.zeros(2)
    for _ in range(60):
        batch = stream.next()
        newest = stream.collector._groups[0]._step.obs["obs"][0]
        for row in range(8):
            (step, episode), (next_step, next_episode) = batch["obs"][row].tolist(), batch["next_obs"][row].tolist()
            assert next_episode == episode
            known = newest[0] if newest[1] == episode else episode_length(episode)
            steps = int(min(n_step, known - step))
            assert next_step == step + steps
            assert batch["reward"][row] == sum(0.5**k * (step + k) for k in range(steps))
            terminated = next_step == episode_length(episode) and episode % 2 == 0
            assert batch["discount"][row] == (0.0 if terminated else 0.5**steps)


def test_every_transition_that_is_kept_is_drawn_and_equally_often() -> None:
    stream = Stream(COUNTING, ReplayConfig(capacity=30, warmup_env_steps=0, horizon=5, minibatch_size=8), num_envs=2)
    for _ in range(9):
        stream.next()
    buffer = stream.replay._buffer
    rows = buffer.draw(20_000, generator(5))
    counts = np.bincount(rows, minlength=buffer.rows)
    assert (counts > 0).sum() == buffer.transitions
    expected = len(rows) / buffer.transitions
    assert abs(counts[counts > 0] - expected).max() < 6 * np.sqrt(expected)


@settings(max_examples=60, deadline=None)
@given(
    horizons=st.lists(st.integers(1, 7), min_size=1, max_size=12),
    capacity=st.integers(34, 90),
    num_envs=st.integers(1, 3),
)
def test_the_newest_rows_are_kept_whole(horizons: list[int], capacity: int, num_envs: int) -> None:
    buffer = ReplayBuffer(capacity, num_envs)
    collector = LocalCollector(lambda index: Group(make_vec(COUNTING, num_envs, seed=3), seed=1, index=index))
    config = QNetworkConfig(NetworkConfig(hidden=(4,), activation="relu"))
    policy = QNetwork(collector.observation_space, collector.action_space, config, generator(1))
    collector.publish(policy, 0)
    seen: list[list[float]] = []
    for horizon in horizons:
        rollout, _ = collector.collect(horizon)
        buffer.add(rollout)
        seen += rollout["obs"][:-1, 0].tolist()
    rows = np.flatnonzero(buffer.column("acted", np.arange(buffer.rows)))
    own = [row for row in rows if row % num_envs == 0]
    kept = buffer.transitions_at(np.array(own), gamma=0.9)["obs"].tolist()
    assert sorted(kept, key=lambda obs: (obs[1], obs[0])) == seen[len(seen) - len(kept) :]
    # Of every episode one row holds its last observation, and one row is open.
    ends = sum(1 for step, episode in seen[len(seen) - len(kept) :] if step + 1 == episode_length(episode))
    assert len(kept) + ends + 1 >= min(buffer.places, len(seen) + ends + 1) - 1


def test_a_rollout_that_wraps_around_the_ring_ends_only_its_own_episodes() -> None:
    """An episode ends early in a rollout that is nearly as long as the ring."""
    buffer = ReplayBuffer(20, 1)
    for rewards, ends in ((range(15), ()), (range(15, 32), (17,))):
        horizon = len(rewards)
        done = np.array([[reward in ends] for reward in rewards])
        obs = np.arange(rewards[0], rewards[0] + horizon + 1, dtype=np.float32)
        seen = np.where(obs > 17, obs + 100, obs) if ends else obs
        buffer.add(
            {
                "obs": torch.from_numpy(seen[:, None, None]),
                "is_first": torch.from_numpy((obs[:, None] == 0) | (obs[:, None] == 18)),
                "action": torch.zeros(horizon, 1),
                "reward": torch.tensor(list(rewards), dtype=torch.float32)[:, None],
                "terminated": torch.from_numpy(done),
                "truncated": torch.zeros(horizon, 1, dtype=torch.bool),
                "final_index": torch.from_numpy(np.argwhere(done)),
                "final_obs": torch.full((len(ends), 1), 18.0),
            }
        )
    rows = buffer.draw(500, generator(1))
    found = buffer.transitions_at(rows, gamma=0.9)
    later = buffer.column("obs", buffer.later_rows(rows, np.full(500, 0.999, np.float32)))[:, 0]
    assert (found["obs"][:, 0] >= 118).any()
    assert (later[found["obs"][:, 0].numpy() >= 118] == 132).all()


def test_an_environment_that_begins_anew_ends_the_old_episode() -> None:
    """What it observes no replay gives again, so that no episode can be continued: they start again when loaded."""
    env = EnvConfig("tests.support.toy_envs:Counting-v0", kwargs={"length": 50})
    config = ReplayConfig(capacity=400, warmup_env_steps=0, horizon=5, minibatch_size=300, n_step=3)
    first, second = Stream(env, config, num_envs=2), Stream(env, config, num_envs=2)
    first.next()
    second.replay.load_state_dict(first.replay.state_dict())
    assert second.replay.inexact
    batch, _, _ = second.replay.next(first.now)
    steps = (batch["next_obs"] - batch["obs"])[:, 1]
    assert set(steps.tolist()) == {1, 2, 3}, "no transition leads from one episode into another"
    assert len(batch["obs"].unique(dim=0)) == 5
    assert second.replay._buffer.transitions == 20, "five steps of two episodes of two environments"


def test_masks_are_kept_and_what_follows_an_end_is_not_forbidden() -> None:
    config = ReplayConfig(capacity=400, warmup_env_steps=10, horizon=5, minibatch_size=64)
    stream = Stream(EnvConfig("tests.support.toy_envs:Masked-v0"), config)
    for _ in range(5):
        batch = stream.next()
        assert batch["action_mask"].gather(1, batch["action"].unsqueeze(1)).all()
        assert batch["next_action_mask"].any(1).all()


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


def test_full_segments_are_written_once_and_go_with_the_last_checkpoint_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.replay.buffer.SEGMENT_ROWS", 20)
    config = ReplayConfig(capacity=100, warmup_env_steps=0, horizon=4, minibatch_size=4)
    first, second = Stream(SHORT, config, num_envs=2), Stream(SHORT, config, num_envs=2)
    saving = Checkpoint(tmp_path, {"stream": first.replay}, every=Every(1), keep_last=2)
    written: dict[str, set[int]] = {}
    for _ in range(30):
        first.next()
        first.now = first.now.advance(updates=1)
        folder = saving.save(first.now)
        for file in folder.glob("*.segment.*"):
            written.setdefault(file.name, set()).add(file.stat().st_ino)
        kept = {file.name for file in tmp_path.rglob("*.segment.*")}
        restoring = Checkpoint(tmp_path, {"stream": second.replay}, every=Every(1))
        second.now = restoring.restore()
        assert_same(first.replay.state_dict()["buffer"], second.replay.state_dict()["buffer"])
    assert len(written) > 8
    assert all(len(files) == 1 for files in written.values()), "each was written once"
    assert len(kept) <= 10, "the others are gone"
    assert torch.equal(first.next()["obs"], second.next()["obs"])


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for value, counterpart in zip(one, other, strict=True):
            assert_same(value, counterpart)
    else:
        np.testing.assert_array_equal(one, other)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=70), st.integers(0, 2**32))
def test_a_sum_tree_finds_rows_by_their_share(values: list[float], seed: int) -> None:
    tree = SumTree(len(values))
    tree.set(np.arange(len(values)), np.array(values))
    assert tree.total == pytest.approx(sum(values))
    if tree.total == 0:
        return
    mass = np.random.default_rng(seed).uniform(0, tree.total, 50)
    ends = np.cumsum(values)
    found = tree.find(mass)
    for row, at in zip(found, mass, strict=True):
        assert values[row] > 0
        assert ends[row] - values[row] - 1e-6 <= at <= ends[row] + 1e-6
    again = SumTree(len(values))
    again.load(tree.values)
    np.testing.assert_array_equal(again._sums, tree._sums)


def test_the_last_of_two_values_for_a_row_counts() -> None:
    tree = SumTree(5)
    tree.set(np.array([1, 3, 1]), np.array([5.0, 2.0, 4.0]))
    assert tree.total == 6.0
    np.testing.assert_array_equal(tree.values, [0, 4, 0, 2, 0])


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
