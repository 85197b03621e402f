"""The actions of running episodes: which are kept, how few bytes they take, and that full blocks are saved once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors import action_history
from envs.vectors.action_history import ActionHistory
from envs.vectors.vector import Arrays
from tests.support.vectors import TOY, assert_same, play
from training.core import Counters, Every
from training.run.checkpoint import Checkpoint
from training.state import State


def numbered(step: int, num_envs: int = 2) -> Arrays:
    return {"action": np.full(num_envs, step), "action/b": np.full((num_envs, 3), step, np.float32)}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action_history, "BLOCK_ENV_STEPS", 40)
    monkeypatch.setattr(action_history, "FIRST_STEPS", 3)


def test_it_keeps_the_newest_actions_whatever_is_forgotten_in_between() -> None:
    rng, history, kept = np.random.default_rng(0), ActionHistory(numbered(0)), 0
    for step in range(500):
        history.append(numbered(step))
        kept = int(rng.integers(kept + 2)) if rng.random() < 0.02 else kept + 1
        history.keep(kept)
        actions = history.actions()
        assert len(history) == len(actions["action"]) >= kept
        assert actions["action"].tolist() == [[number] * 2 for number in range(step + 1 - len(history), step + 1)]
        assert (actions["action/b"][:, 1, 2] == actions["action"][:, 0]).all()
        if step % 50 == 0:
            again = ActionHistory(numbered(0))
            again.load_state_dict(history.state_dict())
            history = again


def test_a_step_takes_the_bytes_of_its_action_and_no_more() -> None:
    history = ActionHistory({"action": np.zeros((1, 4), np.float32)})
    for step in range(10_000):
        history.append({"action": np.full((1, 4), step, np.float32)})
        history.keep(step + 1)
    assert len(history) == 10_000
    assert 16 <= history.nbytes / len(history) <= 16.5


class Endless:
    """The part of a run that is one environment which nothing ends."""

    def __init__(self) -> None:
        self.vec = make_vec(EnvConfig(TOY + "RandomWalk-v0", kwargs={"end_chance": 0.0}), 2, seed=3)

    def state_dict(self) -> State:
        return self.vec.state_dict()

    def load_state_dict(self, state: State) -> None:
        self.vec.load_state_dict(state)


def test_an_episode_without_an_end_is_saved_step_by_step_and_goes_on_to_the_bit(tmp_path: Path) -> None:
    env, rng = Endless(), np.random.default_rng(0)
    checkpoint = Checkpoint(tmp_path / "checkpoints", {"env": env}, every=Every(1), keep_last=20)
    step, written = env.vec.reset(), []
    for update in range(1, 9):
        play(env.vec, 25, rng, step)
        step = env.vec.current()
        folder = checkpoint.save(Counters(updates=update))
        files = [file for file in folder.iterdir() if file.stat().st_nlink == 1 or "segment" not in file.name]
        written.append(sum(file.stat().st_size for file in files if file.suffix == ".safetensors"))
    assert len(list(folder.glob("*.segment.safetensors"))) >= 8
    assert max(written[4:]) <= max(written[:4]) + 64  # a name has more digits: the work of a save does not grow
    other = Endless()
    Checkpoint(tmp_path / "checkpoints", {"env": other}, every=Every(1), keep_last=20).restore()
    assert other.vec.inexact == []
    after, rng_again = np.random.default_rng(7), np.random.default_rng(7)
    assert_same(play(env.vec, 60, after, step), play(other.vec, 60, rng_again, other.vec.current()))
