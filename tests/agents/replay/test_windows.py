"""Windows of episodes: each step begins one, and what is behind the end of its episode is not valid."""

from __future__ import annotations

import pytest
import torch

from tests.support.decision_transformers import COUNTING, windows
from tests.support.recorded import record_random
from training.core import Counters


def test_sequences_are_pieces_of_episodes() -> None:
    """The environment counts: it observes (step, episode) and pays the step; its episodes have 3, 4 and 5 steps."""
    episodes = record_random(COUNTING, 30)[0].select([0, 10, 20])
    stream, begun = windows(episodes, 12), set()
    batch, after, _ = stream.next(Counters())
    assert (after.epochs, after.samples) == (1, 12)
    for i in range(12):
        step, episode = (int(value) for value in batch["obs"][i, 0])
        begun.add((episode, step))
        length = 3 + episode
        assert batch["valid"][i].tolist() == [step + k < length for k in range(3)]
        for k in range(min(3, length - step)):
            assert batch["obs"][i, k].tolist() == [step + k, episode]
            assert batch["episode_step"][i, k] == step + k
            assert batch["return_to_go"][i, k].item() == pytest.approx(sum(range(step + k, length)) / 10)
    assert begun == {(episode, step) for episode in range(3) for step in range(3 + episode)}


def test_a_sequence_continues_where_it_was() -> None:
    episodes, _ = record_random(COUNTING, 4)
    stream, again, now = windows(episodes, 5), windows(episodes, 5), Counters()
    _, now, _ = stream.next(now)
    again.load_state_dict(stream.state_dict())
    for _ in range(4):
        (batch, _, _), (same, _, _) = stream.next(now), again.next(now)
        assert all(torch.equal(batch[key], same[key]) for key in batch)
