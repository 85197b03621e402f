"""A log that writes nothing gives back what was measured."""

from __future__ import annotations

from regimes.silence import Silence
from training.core import Counters
from training.metrics import Last, Mean


def test_it_keeps_means_and_writes_nowhere() -> None:
    log = Silence()
    for value in (1.0, 2.0, 6.0):
        with log.collecting():
            log.add({"loss": Mean(value), "rate": Last(value)})
        log.progress(Counters())
        log.write(Counters())
    assert log.measured() == {"loss": Mean(3.0, 3.0), "rate": Last(6.0)}
