"""The replay buffer: a ring of rows from which transitions are drawn.

A row is one observation and what was done on it. The row after it, of the same environment, is the next observation:
nothing is kept twice. The last observation of an episode has a row of its own, on which nothing was done, and so has
the observation that an environment has not acted on yet. So a transition is a row with an action, every window of
transitions ends at a row without one, and truncated episodes and the ring's seam need no case of their own.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from agents.replay.sum_tree import Rows, SumTree
from envs.spaces import row_bytes
from envs.vectors.vector import Arrays
from training.core import Batch
from training.state import Segment, State

SEGMENT_ROWS = 65_536
"""Of the parts in which a buffer is saved: one that is full is written once, however often the run is saved."""

ROW_BYTES = {"reward": 4, "terminated": 1, "acted": 1, "episode_end": 8}
"""Of each row, beside what was observed and done."""


class ReplayBuffer:
    """The newest `capacity` rows of N environments; row p * N + n is the p-th place of environment n in the ring.

    Args:
        capacity: rows, over all environments; rounded up to a multiple of N.
        num_envs: N.
    """

    def __init__(self, capacity: int, num_envs: int) -> None:
        self.num_envs = num_envs
        self.places = -(-capacity // num_envs)
        self.rows = self.places * num_envs
        # Rows that each environment has completed so far; that is also the place, modulo the ring, of its open row.
        self._written = np.zeros(num_envs, np.int64)
        self._episode_start = np.zeros(num_envs, np.int64)
        self._columns: Arrays = {}
        self._priorities: SumTree | None = None
        self._max_priority = 1.0

    @property
    def nbytes(self) -> int:
        """Of memory, all of it allocated at the first `add`."""
        tree = 0 if self._priorities is None else self._priorities.nbytes
        return sum(column.nbytes for column in self._columns.values()) + tree

    def nbytes_for(
        self, observation_space: gym.Space[Any], action_space: gym.Space[Any], *, prioritized: bool = False
    ) -> int:
        """What `nbytes` will be, without the masks that an environment may report."""
        row = row_bytes(observation_space) + row_bytes(action_space) + sum(ROW_BYTES.values())
        return self.rows * row + (SumTree.nbytes_for(self.rows) if prioritized else 0)

    @property
    def transitions(self) -> int:
        """That can be drawn now."""
        return int(np.count_nonzero(self._columns["acted"])) if self._columns else 0

    def add(self, rollout: Batch) -> None:
        """Takes in a rollout [T, N]; steps that are not `valid` are no transitions and leave no row."""
        arrays = {key: value.numpy() for key, value in rollout.items()}
        horizon = len(arrays["reward"])
        ended = arrays["terminated"] | arrays["truncated"]
        taken = arrays.get("valid", np.ones_like(ended))
        seen = [key for key in arrays if key.split("/")[0] in ("obs", "action_mask")]
        done = [key for key in arrays if key.split("/")[0] in ("action", "reward", "terminated")]
        if not self._columns:
            self._allocate({key: arrays[key] for key in seen + done})
        self._close_episodes(arrays["is_first"][0])
        # An episode's end takes a second row.
        used = taken.astype(np.int64) + ended
        assert used.sum(0).max() < self.places, "the stream collects less than the ring holds"
        place = self._written + np.cumsum(used, 0) - used
        t, n = taken.nonzero()
        rows = self._row(place[t, n], n)
        for key in seen + done:
            self._columns[key][rows] = arrays[key][t, n]
        self._columns["acted"][rows] = True
        self._columns["episode_end"][rows] = -1
        t, n = arrays["final_index"].T
        final_place = place[t, n] + 1
        final_rows = self._row(final_place, n)
        self._written += used.sum(0)
        open_rows = self._open_rows
        for key in seen:
            self._columns[key][final_rows] = arrays[f"final_{key}"]
            self._columns[key][open_rows] = arrays[key][horizon]
        self._columns["acted"][final_rows] = False
        self._columns["acted"][open_rows] = False
        for env, end in zip(n, final_place, strict=True):
            self._end_episode(env, end)
        if self._priorities is not None:
            self._priorities.set(rows, self._max_priority)
            self._priorities.set(np.concatenate([final_rows, open_rows]), 0.0)

    def _end_episode(self, env: int, end: int) -> None:
        """Row number `end` of environment `env` is the last one of its episode: what is left of it is told so."""
        places = np.arange(max(self._episode_start[env], self._written[env] + 1 - self.places), end)
        self._columns["episode_end"][self._row(places, env)] = end
        self._episode_start[env] = end + 1

    def _close_episodes(self, begins_anew: NDArray[np.bool_]) -> None:
        """Of environments that begin anew [N] in the middle of an episode, as one does that could not be restored.

        What was seen last stays the last observation of the old episode, which counts as truncated there.
        """
        for env in np.flatnonzero(begins_anew & (self._written > self._episode_start)):
            self._written[env] += 1
            self._end_episode(int(env), int(self._written[env]) - 1)

    def draw(self, count: int, rng: torch.Generator) -> Rows:
        """Rows of `count` transitions, each as likely as every other."""
        acted = self._columns["acted"]
        filled = self._filled

        def uniform(size: int) -> Rows:
            drawn: Rows = torch.randint(filled, (size,), generator=rng).numpy()
            return drawn

        rows = uniform(count)
        while not (found := acted[rows]).all():
            rows[~found] = uniform(int(np.count_nonzero(~found)))
        return rows

    def prioritize(self) -> None:
        """From now on transitions have priorities; new ones the highest there was."""
        self._priorities = SumTree(self.rows)

    def draw_by_priority(self, minibatches: int, size: int, rng: torch.Generator) -> tuple[Rows, NDArray[np.float64]]:
        """Rows [minibatches * size] of transitions and the probability of each.

        In a minibatch one is drawn from each of `size` equal shares of the total priority (Schaul et al. 2016, section
        3.3).
        """
        tree = self._priorities
        assert tree is not None
        drawn: NDArray[np.float64] = torch.rand(minibatches, size, generator=rng, dtype=torch.float64).numpy()
        mass: NDArray[np.float64] = (drawn + np.arange(size)) * (tree.total / size)
        rows = tree.find(mass.reshape(-1))
        return rows, tree[rows] / tree.total

    def set_priorities(self, rows: Rows, priorities: NDArray[np.float64]) -> None:
        """New priorities [B], above 0, for rows drawn since the last `add`."""
        assert self._priorities is not None
        known = np.isfinite(priorities)  # an update that was skipped has none
        rows, priorities = rows[known], priorities[known]
        self._max_priority = float(priorities.max(initial=self._max_priority))
        self._priorities.set(rows, priorities)

    def transitions_at(self, rows: Rows, *, gamma: float, n_step: int = 1, next_action: bool = False) -> Batch:
        """The transitions that begin at `rows` [B], as samples [B, ...].

        `reward` is the discounted sum over up to `n_step` steps, fewer where the episode or the data end, `next_obs`
        (and `next_action_mask`) what was seen after them, and `discount` gamma to their number, or 0 where the episode
        terminated: the return is `reward + discount * value(next_obs)` (Sutton and Barto 2018, equation 7.1).

        On request there is also `next_action`, what was done on `next_obs`, where `next_acted` [B] is true: elsewhere
        the episode or the data end.
        """
        columns = self._columns
        last, reward = rows, columns["reward"][rows]
        discount = np.full(len(rows), gamma, np.float32)
        if n_step > 1:
            goes_on = np.ones(len(rows), bool)
            for _ in range(n_step - 1):
                following = self._next(last)
                goes_on &= columns["acted"][following]
                reward = reward + np.where(goes_on, discount * columns["reward"][following], np.float32(0))
                last = np.where(goes_on, following, last)
                discount = np.where(goes_on, discount * np.float32(gamma), discount)
        discount = discount * ~columns["terminated"][last]
        following = self._next(last)
        batch = {"reward": reward, "discount": discount.astype(np.float32)}
        for key, column in columns.items():
            kind = key.split("/")[0]
            if kind in ("obs", "action_mask"):
                batch[f"next_{key}"] = column.take(following, 0)
            if kind in ("obs", "action_mask", "action"):
                batch[key] = column.take(rows, 0)
            if next_action and kind == "action":
                batch[f"next_{key}"] = column.take(following, 0)
        if next_action:
            batch["next_acted"] = columns["acted"][following]
        return {key: torch.from_numpy(value) for key, value in batch.items()}

    def later_rows(self, rows: Rows, fraction: NDArray[np.float32]) -> Rows:
        """A row [B] behind each of `rows` in its episode: the next one at fraction 0, the last known one near 1."""
        env = rows % self.num_envs
        place = self._place(rows, self.places)
        end = self._columns["episode_end"][rows]
        end = np.where(end < 0, self._written[env], end)  # the episode goes on: up to the row that is still open
        later = place + 1 + (fraction * (end - place)).astype(np.int64)
        return self._row(np.minimum(later, end), env)

    def column(self, key: str, rows: Rows) -> NDArray[Any]:
        """What is stored under `key` at `rows` [B]."""
        found: NDArray[Any] = self._columns[key].take(rows, 0)
        return found

    def _row(self, place: Rows, env: Any) -> Rows:
        """Where the ring holds what environment `env` wrote as its row number `place`, both [B]."""
        row: Rows = (place % self.places) * self.num_envs + env
        return row

    def _next(self, rows: Rows) -> Rows:
        return (rows + self.num_envs) % self.rows

    def _place(self, rows: Rows, places: int) -> Rows:
        """When the environment of each row, in a ring of so many places, wrote it, in its own rows; below 0: never."""
        written = self._written[rows % self.num_envs]
        place: Rows = written - (written - rows // self.num_envs) % places
        return place

    @property
    def _open_rows(self) -> Rows:
        """[N] what has been seen last and not been acted on."""
        return self._row(self._written, np.arange(self.num_envs))

    def _allocate(self, like: Arrays) -> None:
        """`like`: arrays [T, N, ...] of the same types, by the names of the columns."""
        self._columns = {key: np.zeros((self.rows, *value.shape[2:]), value.dtype) for key, value in like.items()}
        self._columns["acted"] = np.zeros(self.rows, bool)
        self._columns["episode_end"] = np.full(self.rows, -1, np.int64)

    def state_dict(self) -> State:
        return {
            "segments": [self._segment(begin) for begin in self._segment_begins()] if self._columns else [],
            "written": self._written,
            "episode_start": self._episode_start,
            "priorities": None if self._priorities is None else self._priorities.values[: self._filled],
            "max_priority": self._max_priority,
        }

    def load_state_dict(self, state: State, *, priority_power: float = 1.0) -> None:
        """Goes on with the newest rows of each environment, also those of a ring of another capacity.

        Priorities are raised to a power; transitions that had none get the highest there was.
        """
        self._written = np.array(state["written"])
        self._episode_start = np.array(state["episode_start"])
        self._max_priority = state["max_priority"] ** priority_power
        self._columns = {}
        saved = [part.arrays if isinstance(part, Segment) else part for part in state["segments"]]
        # A ring that has not come round yet has as many rows as any longer one.
        saved_places = sum(len(arrays["acted"]) for arrays in saved) // self.num_envs
        priorities = np.zeros(self.rows)
        begin = 0
        for arrays in saved:
            if not self._columns:
                self._allocate({key: value[None] for key, value in arrays.items()})
            rows = np.arange(begin, begin + len(arrays["acted"]))
            place, env = self._place(rows, saved_places), rows % self.num_envs
            kept = place > np.maximum(self._written[env] - self.places, -1)
            to = self._row(place, env)[kept]
            for key, value in arrays.items():
                self._columns[key][to] = value[kept]
            if state["priorities"] is None:
                priorities[to] = np.where(arrays["acted"][kept], self._max_priority, 0.0)
            else:
                priorities[to] = state["priorities"][rows[kept]] ** priority_power
            begin += len(rows)
        if self._priorities is not None:
            self._priorities.load(priorities)

    @property
    def _filled(self) -> int:
        """Rows up to the last that was ever written."""
        return min(int(self._written.max()) + 1, self.places) * self.num_envs

    @property
    def _segment_size(self) -> int:
        return max(1, SEGMENT_ROWS // self.num_envs) * self.num_envs

    def _segment_begins(self) -> range:
        return range(0, self._filled, self._segment_size)

    def _segment(self, begin: int) -> Segment | Arrays:
        """The rows from `begin` on; a Segment when nothing changes in them until the ring comes round again."""
        end = min(begin + self._segment_size, self.rows)
        arrays = {key: column[begin : min(end, self._filled)] for key, column in self._columns.items()}
        first, last = begin // self.num_envs, end // self.num_envs
        at = self._written % self.places
        # The episodes that go on will still write their ends into their rows.
        places = self._place(np.arange(begin, end), self.places)
        unfinished = places.reshape(-1, self.num_envs) >= self._episode_start
        if ((first <= at) & (at < last)).any() or unfinished.any() or end > self._filled:
            return arrays
        rounds = int((self._written // self.places + (at >= last)).sum())
        return Segment(f"{self.rows}-{begin}-{rounds}", arrays)
