"""The stream of offline reinforcement learning: transitions drawn from a dataset, and nothing new."""

from __future__ import annotations

from dataclasses import replace

from agents.policy import NetworkPolicy
from agents.replay_buffer import ReplayBuffer
from envs.episodes import Episodes
from training.core import Batch, Counters, State, require
from training.metrics import Metrics
from training.seeding import generator


class DatasetReplay:
    """Minibatches of transitions [B, ...] as `Replay` yields them, each as likely as every other.

    As many samples as the dataset has steps are an epoch. Raises UserError when there are fewer than a minibatch takes.
    """

    def __init__(
        self, episodes: Episodes, policy: NetworkPolicy, minibatch_size: int, *, gamma: float, seed: int
    ) -> None:
        takes = f"1 to {episodes.steps}, the steps of the dataset"
        require(1 <= minibatch_size <= episodes.steps, "agent.batch_size", minibatch_size, takes)
        self._buffer = remembered(episodes, policy)
        self._steps, self._minibatch_size, self._gamma = episodes.steps, minibatch_size, gamma
        self._rng = generator(seed, "replay")

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        rows = self._buffer.draw(self._minibatch_size, self._rng)
        after = now.advance(samples=len(rows))
        epochs = after.samples // self._steps - now.samples // self._steps
        return self._buffer.transitions_at(rows, gamma=self._gamma), after.advance(epochs=epochs), {}

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: no transition is preferred."""

    def state_dict(self) -> State:
        return {"rng": self._rng.get_state()}

    def load_state_dict(self, state: State) -> None:
        self._rng.set_state(state["rng"])


def remembered(episodes: Episodes, policy: NetworkPolicy) -> ReplayBuffer:
    """A buffer that holds all of the episodes, with their actions in the terms of the policy."""
    buffer = ReplayBuffer(episodes.steps + len(episodes) + 1, num_envs=1)
    learned = replace(episodes, action=policy.learned_action(episodes.action))
    for e in range(len(episodes)):
        buffer.add(learned.rollout(e))
    return buffer
