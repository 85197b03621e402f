"""The buffer: what is drawn is what happened, at ends and at the seam of the ring too, and it is saved in segments."""

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
from agents.replay.replay import ReplayConfig
from envs.config import EnvConfig
from envs.making import make_vec
from tests.support.replay import COUNTING, SHORT, Stream, episode_length
from training.core import Every
from training.networks import NetworkConfig
from training.run.checkpoint import Checkpoint
from training.seeding import generator


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
