"""A server gets the sum of sixteen parties' numbers to the integer, also when three drop out, and nobody's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regimes.secure_sum import Numbers, Party, majority, secure_sum
from training.claims import Claim
from training.core import Counters
from training.errors import require
from training.recipe import MeasureConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(MeasureConfig):
    """How many parties there are, and how many of them drop out after the keys are agreed on."""

    parties: int = 16
    dropped: int = 3
    size: int = 10_000
    """Numbers of each party, from 0 to 2^20."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.parties >= 2, "parties", self.parties, "at least 2")
        most = self.parties - majority(self.parties)
        require(0 <= self.dropped <= most, "dropped", self.dropped, f"0 to {most}: more than half must stay")
        require(self.size >= 1, "size", self.size, "at least 1")


# A correlation of 10,000 pairs that have none is beyond 0.05 once in two million. The control is the same sum without
# its last step: what is still masked is right nowhere.
CLAIMS = (
    Claim("all/wrong_numbers", "<=", 0.0, of="success", seeds=20),
    Claim("dropped/wrong_numbers", "<=", 0.0, of="success", seeds=20),
    Claim("still_masked/right_part", "<=", 0.001, of="success", seeds=20),
    Claim("one_party/correlation", "<=", 0.05, of="success", seeds=20),
)


def train(config: Config, run: Run) -> None:
    """Nothing is trained: sums are compared with those of the numbers themselves."""
    rng = np.random.default_rng(config.seed)
    count = config.parties
    values = {party: rng.integers(0, 2**20, config.size, dtype=np.uint64) for party in range(1, count + 1)}
    gone = rng.choice(np.arange(1, count + 1), config.dropped, replace=False).tolist()
    measured = {}
    for name, missing in (("all", []), ("dropped", gone)):
        plain = np.sum([own for party, own in values.items() if party not in missing], axis=0, dtype=np.uint64)
        found = secure_sum(values, majority(count), missing)
        measured[f"{name}/wrong_numbers"] = float(np.sum(found != plain))
    masked = _masked(values)
    right = np.sum(list(masked.values()), axis=0, dtype=np.uint64) == np.sum(
        list(values.values()), axis=0, dtype=np.uint64
    )
    measured["still_masked/right_part"] = float(np.mean(right))
    measured["one_party/correlation"] = max(
        abs(float(np.corrcoef(values[party].astype(np.float64), masked[party].astype(np.float64))[0, 1]))
        for party in values
    )
    run.finish(Counters(), metrics=measured)


def _masked(values: dict[int, Numbers]) -> dict[int, Numbers]:
    """What the server sees before anything is taken off."""
    parties = {number: Party(number, majority(len(values))) for number in values}
    keys = {number: party.keys for number, party in parties.items()}
    sent = {number: party.shares_for_others(keys) for number, party in parties.items()}
    return {
        number: party.masked(values[number], {other: sent[other][number] for other in values if other != number})
        for number, party in parties.items()
    }
