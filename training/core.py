"""The nouns of every kind of training: batches, counters, cadences and the protocols of the one loop.

A stream yields the next batch, an algorithm learns from it; `training/fit.py` is the loop between the two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from training.errors import require
from training.state import Stateful

if TYPE_CHECKING:  # workers that step environments import this file and need no torch
    from torch import Tensor, device

    from training.metrics import Metrics

Batch: TypeAlias = "dict[str, Tensor]"
"""Named tensors; nested names are joined by a slash. The leading shape of every key:

| key | rollouts | samples | what it is |
|---|---|---|---|
| `obs`, `obs/<name>` | [T+1, N, ...] | [B, ...] | what the policy saw; row T is what it would act on next |
| `action`, `action/<name>` | [T, N, ...] | [B, ...] | what it did |
| `action_mask` | [T+1, N, A] | [B, A] | True where an action is allowed, see `envs.masks` |
| `next_obs`, `next_obs/<name>`, `next_action_mask` | | [B, ...] | of replay: what was seen after the step, or steps |
| `reward` | [T, N] | [B] | float32; of replay with n-step returns their discounted sum |
| `discount` | | [B] | of replay: gamma to the number of steps, 0 where the episode terminated |
| `index`, `weight` | | [B] | of replay with priorities: the row in the buffer, and the importance weight |
| `terminated`, `truncated` | [T, N] | [B] | the episode ended in a terminal state / was cut by a limit |
| `valid` | [T, N] | | False: a reset transition, never learned from; without the key there is none |
| `opponent_next` | [T, N] | | the next observation is an opponent's, whose gain is one's loss; without the key never |
| `is_first` | [T+1, N] | [B] | the observation is the first of its episode |
| `final_obs`, `final_obs/<name>` | [K, ...] | | the last observation of each of the K episodes that ended |
| `final_action_mask` | [K, A] | | what was allowed on each of those |
| `final_index` | [K, 2] | | the (t, n) at which each of those ended |
| `log_prob` | [T, N] | [B] | of the action, by the policy that acted, where that may be older than the newest |
| `return_to_go`, `episode_step` | | [B, context] | of windows of a dataset: the return from each step on, its number |
| `state/<name>` | [N, ...] | [B, ...] | what a policy with a memory remembered before row 0 / before each sequence |
| `final_state/<name>` | [K, ...] | | what it remembered when it would have seen each of the K final observations |
"""


def to_device(batch: Batch, device: device) -> Batch:
    """The batch on the device, see `moved`."""
    return {key: moved(value, device) for key, value in batch.items()}


def moved(tensor: Tensor, device: device) -> Tensor:
    """The tensor on the device; when that is a GPU, the CPU does not wait for what it is computing."""
    if device.type == tensor.device.type or device.type == "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


Unit = Literal["env_steps", "updates", "samples", "epochs"]


@dataclass(frozen=True)
class Counters:
    """How far a run has come. Everything that has a cadence or a schedule reads these, never the clock."""

    env_steps: int = 0
    updates: int = 0
    samples: int = 0
    epochs: int = 0

    def advance(self, *, env_steps: int = 0, updates: int = 0, samples: int = 0, epochs: int = 0) -> Counters:
        return replace(
            self,
            env_steps=self.env_steps + env_steps,
            updates=self.updates + updates,
            samples=self.samples + samples,
            epochs=self.epochs + epochs,
        )

    def count(self, unit: Unit) -> int:
        return int(getattr(self, unit))


@dataclass(frozen=True)
class Every:
    """A cadence: due whenever the counter passes a multiple of `count`."""

    count: int
    unit: Unit = "env_steps"

    def __post_init__(self) -> None:
        require(self.count >= 1, "count", self.count, "at least 1")

    def due(self, before: Counters, after: Counters) -> bool:
        return after.count(self.unit) // self.count > before.count(self.unit) // self.count


@dataclass(frozen=True)
class Budget:
    """When a run is finished: at the first update after which the counter reaches `count`."""

    count: int
    unit: Unit = "env_steps"

    def __post_init__(self) -> None:
        require(self.count >= 1, self.unit, self.count, "at least 1")

    def reached(self, now: Counters) -> bool:
        return now.count(self.unit) >= self.count

    def fraction(self, now: Counters) -> float:
        """How much of the budget is spent, in [0, 1]."""
        return min(1.0, now.count(self.unit) / self.count)


class Stream(Stateful, Protocol):
    """Where the next batch comes from. It never sees a loss."""

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        """The next batch, the counters once it is learned from, and what its making measured."""
        ...

    def learned(self, feedback: Batch) -> None:
        """Takes what came back from the update: priorities, the policy's version."""
        ...


class Algorithm(Stateful, Protocol):
    """What to do with a batch. It never steps an environment."""

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        """Learns from the batch; returns what was measured and the feedback for the stream."""
        ...
