"""A dataset as a replay buffer, which is filled once and never changes."""

from __future__ import annotations

from agents.replay.buffer import ReplayBuffer
from envs.episodes.episodes import Episodes
from training.machine import require_memory


def buffer_of(episodes: Episodes) -> ReplayBuffer:
    """All transitions of the episodes, whose actions are those that a policy learns.

    Raises UserError where they do not fit into memory.
    """
    buffer = ReplayBuffer(episodes.steps + len(episodes) + 1, num_envs=1)
    needed = buffer.nbytes_for(episodes.observation_space, episodes.action_space)
    require_memory(needed, f"dataset: the replay memory of its {episodes.steps:,} steps", "a smaller one takes less")
    for e in range(len(episodes)):
        buffer.add(episodes.rollout(e))
    return buffer
