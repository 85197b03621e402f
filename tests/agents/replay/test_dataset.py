"""A dataset as a buffer: its transitions, what followed each, and one that does not fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.replay.dataset import buffer_of
from envs.config import EnvConfig
from tests.support.recorded import record_random
from training import machine
from training.errors import UserError
from training.machine import Memory

EPISODES = EnvConfig("tests.support.learning_envs:CountingEpisodes-v0")
"""Of 3, 4, 5, 3, ... steps, every second one truncated; it observes (step, episode), reward is the step."""


def test_it_holds_every_transition_and_the_action_that_followed() -> None:
    episodes, _ = record_random(EPISODES, 4)
    buffer = buffer_of(episodes)
    rows = np.flatnonzero(buffer.column("acted", np.arange(buffer.rows)))
    assert len(rows) == episodes.steps
    given = buffer.transitions_at(rows, gamma=0.5, next_action=True)
    assert torch.equal(given["action"], torch.from_numpy(episodes.action["action"]))
    ends = torch.from_numpy(episodes.terminated | episodes.truncated)
    assert torch.equal(given["next_acted"], ~ends)
    following = torch.from_numpy(np.roll(episodes.action["action"], -1))
    assert torch.equal(given["next_action"][~ends], following[~ends])
    assert "next_action" not in buffer.transitions_at(rows, gamma=0.5)


def test_one_that_does_not_fit_into_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    episodes, _ = record_random(EPISODES, 4)
    monkeypatch.setattr(machine, "memory_here", lambda: Memory(100, 100))
    with pytest.raises(UserError, match=r"dataset: the replay memory of its \d+ steps"):
        buffer_of(episodes)
