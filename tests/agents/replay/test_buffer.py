"""The buffer: what is drawn is what happened, at ends and at the seam of the ring too, and it is saved in segments."""

from __future__ import annotations

from dataclasses import replace
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


@settings(max_examples=40, deadline=None)
@given(
    before=st.lists(st.integers(1, 7), min_size=1, max_size=12),
    after=st.lists(st.integers(1, 7), max_size=12),
    capacities=st.lists(st.integers(48, 110), min_size=2, max_size=4),
    num_envs=st.integers(1, 3),
    had_priorities=st.booleans(),
)
def test_a_ring_of_another_capacity_goes_on_with_the_newest_rows(
    before: list[int], after: list[int], capacities: list[int], num_envs: int, had_priorities: bool
) -> None:
    """Each followed by its own successor, with its own priority, and with later goals from its own episode."""
    collector = LocalCollector(lambda index: Group(make_vec(COUNTING, num_envs, seed=3), seed=1, index=index))
    config = QNetworkConfig(NetworkConfig(hidden=(4,), activation="relu"))
    collector.publish(QNetwork(collector.observation_space, collector.action_space, config, generator(1)), 0)
    kept_whole, buffer = ReplayBuffer(1_000, num_envs), ReplayBuffer(capacities[0], num_envs)
    if had_priorities:
        buffer.prioritize()

    def collect(horizons: list[int]) -> None:
        for horizon in horizons:
            rollout, _ = collector.collect(horizon)
            buffer.add(rollout)
            kept_whole.add(rollout)
            rows = np.flatnonzero(buffer.column("acted", np.arange(buffer.rows)))
            if had_priorities:  # each transition's is its reward and its episode
                obs = buffer.column("obs", rows)
                buffer.set_priorities(rows, obs[:, 0] + 10.0 * obs[:, 1] + 1)

    places, least = buffer.places, buffer.places
    for capacity in capacities[1:]:
        collect(before)
        other = ReplayBuffer(capacity, num_envs)
        other.prioritize()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("agents.replay.buffer.SEGMENT_ROWS", 20)
            saved = buffer.state_dict()
            other.load_state_dict(saved)
            if other.places == places:
                assert_same(saved["segments"], other.state_dict()["segments"])
        buffer, had_priorities, places, least = other, True, other.places, min(least, other.places)
    collect(after)

    everything = _by_env(kept_whole)
    for env, own in _by_env(buffer).items():
        assert own == everything[env][len(everything[env]) - len(own) :], "the newest, and no other"
        ended = sum(1 for (step, episode), (after_it, _) in own if after_it == episode_length(episode))
        assert len(own) + ended + 1 >= min(least, len(everything[env])) - 1
    rows = np.flatnonzero(buffer.column("acted", np.arange(buffer.rows)))
    obs = buffer.column("obs", rows)
    for fraction in (0.0, 0.6, 0.999):
        later = buffer.column("obs", buffer.later_rows(rows, np.full(len(rows), fraction, np.float32)))
        np.testing.assert_array_equal(later[:, 1], obs[:, 1], "of the same episode")
        assert (later[:, 0] > obs[:, 0]).all(), "and later in it"
    if rows.size:
        drawn, probability = buffer.draw_by_priority(5, 20, generator(2))
        assert np.isin(drawn, rows).all()
        assert (probability > 0).all()


def _by_env(buffer: ReplayBuffer) -> dict[int, list[tuple[tuple[int, int], tuple[int, int]]]]:
    """The transitions of each environment, in their order: (step, episode) and what followed."""
    rows = np.flatnonzero(buffer.column("acted", np.arange(buffer.rows)))
    batch = buffer.transitions_at(rows, gamma=0.9)
    pairs = zip(rows % buffer.num_envs, batch["obs"].tolist(), batch["next_obs"].tolist(), strict=True)
    found: dict[int, list[Any]] = {env: [] for env in range(buffer.num_envs)}
    for env, seen, following in pairs:
        assert following == [seen[0] + 1, seen[1]], "its own successor"
        found[env].append((tuple(seen), tuple(following)))
    return {env: sorted(own, key=lambda pair: (pair[0][1], pair[0][0])) for env, own in found.items()}


def test_a_ring_that_loads_has_the_priorities_that_were_asked_for() -> None:
    config = ReplayConfig(capacity=60, warmup_env_steps=0, horizon=5, minibatch_size=8, priority_exponent=0.5)
    first = Stream(COUNTING, config, num_envs=2)
    for _ in range(4):
        batch = first.next()
        first.replay.learned({"index": batch["index"], "priority": batch["reward"] + 1})
    state = first.replay.state_dict()
    exponents = {0.5: 1.0, 1.0: 2.0}
    for exponent, power in exponents.items():
        other = Stream(COUNTING, replace(config, priority_exponent=exponent, capacity=40), num_envs=2)
        other.replay.load_state_dict(state)
        values = other.replay._buffer.state_dict()["priorities"]
        expected = np.sort(state["buffer"]["priorities"] ** power)[-len(values) :]
        np.testing.assert_allclose(np.sort(values)[-10:], expected[-10:])
    plain = Stream(COUNTING, replace(config, priority_exponent=0.0), num_envs=2)
    plain.next()
    child = Stream(COUNTING, config, num_envs=2)
    child.replay.load_state_dict(plain.replay.state_dict())
    buffer = child.replay._buffer
    assert set(buffer.state_dict()["priorities"].tolist()) == {0.0, 1.0}
    rows, _ = buffer.draw_by_priority(20, 20, generator(1))
    assert len(set(rows.tolist())) == buffer.transitions


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
