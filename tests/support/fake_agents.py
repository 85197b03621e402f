"""An agent that learns nothing and remembers what it was given, for the tests of the recipes."""

from __future__ import annotations

from typing import Any

from agents.policies.policy import NetworkPolicy
from training.core import Batch, Budget, Counters
from training.metrics import Metrics
from training.state import State


class Attentive:
    """Takes batches and leaves its policy as it is."""

    made: list[Attentive]

    def __init__(self, policy: NetworkPolicy, config: Any, *, until: Budget, seed: int, **more: Any) -> None:
        self.policy, self.config, self.until, self.seed, self.more = policy, config, until, seed, more
        self.batches: list[Batch] = []
        type(self).made.append(self)

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        self.batches.append(batch)
        return {}, {}

    def state_dict(self) -> State:
        return {"policy": self.policy.save()}

    def load_state_dict(self, state: State) -> None:
        self.policy.load_state_dict(state["policy"]["weights"])


def attentive() -> type[Attentive]:
    """A class of its own, which knows what was made of it."""
    return type("Attentive", (Attentive,), {"made": []})
