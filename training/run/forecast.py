"""How long what goes on will still take, by what was measured so far. No clock is read here: every time is given."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, NamedTuple

from training.core import Budget, Counters, Every

RECENT = 0.25
"""Of the whole work: so much of the newest tells the pace, and no more than half of what was done, so that a beginning
that is slower or faster (compiling, a warm-up without learning) is soon forgotten. Less of it would follow each whim of
a machine that is busy with other things."""
GRAIN = 0.001
"""Of the whole work: points that are nearer to each other than so are one."""
TELLING = 0.1
"""From so much of a measurement on, its own pace says when it ends."""
MEASURING_A_SAMPLE = 1 / 3
"""Of the time that learning from it takes, which goes forward and backward."""


@dataclass(frozen=True)
class Outlook:
    """What a run measures beside its training."""

    every: Every | None = None
    """How often it is measured while it trains; None: never."""
    final: tuple[float, ...] = ()
    """The measurements at the end: how many times as long as one during training each of them takes."""
    work: int = 0
    """How much of the training's work takes as long as one of them, for a guess before the first: of env steps, the
    making; of samples, a third of the learning from them. 0: nobody knows."""
    unit: Literal["env_steps", "samples"] = "env_steps"
    """Of `work`."""


class Forecast:
    """Collects what a run measures of its own pace, and says how long it will still take.

    The times are seconds on any one clock. Only what this process does counts: a resumed run is as fast as it is now.

    Args:
        until: the work.
        outlook: what else will take time.
    """

    def __init__(self, until: Budget, outlook: Outlook | None = None) -> None:
        self.until, self._outlook = until, outlook or Outlook()
        self.now = Counters()
        self._points: list[tuple[float, int]] = []  # seconds of training, count
        self._first: Counters | None = None
        self._pending_s, self._collecting_s, self._collected = 0.0, 0.0, 0
        self._apart_s = 0.0  # in measurements
        self._measured_s: list[float] = []  # each as long as one during training
        self._begun_s: float | None = None
        self._fraction = 0.0
        self._finals = 0  # begun

    def trained(self, at_s: float, now: Counters) -> None:
        """To be called after every iteration; the first one, with its warm-up, tells no pace."""
        if self._first is None:
            self._first = now
        else:
            self._collecting_s += self._pending_s
            self._collected += now.env_steps - self.now.env_steps
        self._pending_s, self.now = 0.0, now
        if len(self._points) > 1 and self.done - self._points[-2][1] < GRAIN * self.until.count:
            self._points.pop()
        self._points.append((at_s - self._apart_s, self.done))

    def collected(self, seconds: float) -> None:
        """The making of the batch that is learned from next took so long."""
        self._pending_s += seconds

    def measuring(self, at_s: float, *, final: bool = False) -> None:
        """A measurement begins; after the first final one nothing is trained any more."""
        self._begun_s, self._fraction = at_s, 0.0
        self._finals += final

    def measured_so_far(self, fraction: float) -> None:
        """How much of the measurement is done, in [0, 1]."""
        self._fraction = fraction

    def measured(self, at_s: float) -> None:
        """The measurement is over."""
        assert self._begun_s is not None
        self._apart_s += at_s - self._begun_s
        self._measured_s.append((at_s - self._begun_s) / self._weight)
        self._begun_s = None

    @property
    def done(self) -> int:
        return self.now.count(self.until.unit)

    @property
    def pace_s(self) -> float | None:
        """Seconds of training for each unit of work, lately; None: not known yet."""
        if len(self._points) < 2:
            return None
        (first, last), total = (self._points[0][1], self._points[-1][1]), self.until.count
        since = last - min((last - first) / 2, RECENT * total)
        begin_s, begin = next(point for point in reversed(self._points) if point[1] <= since)
        return (self._points[-1][0] - begin_s) / (last - begin) if last > begin else None

    def seconds_left(self, at_s: float) -> float | None:
        """Until the run and its last measurement are over; None: not known yet."""
        each_s = self._each_s(at_s)
        left_s = self._finals_left * each_s + self._rest_s(at_s, each_s)
        if self._finals:
            return left_s
        work, pace_s = self.until.count - self.done, self.pace_s
        if work > 0:
            if pace_s is None:
                return None
            since_s = 0.0 if self._begun_s is not None else max(0.0, at_s - self._apart_s - self._points[-1][0])
            left_s += max(0.0, work * pace_s - since_s) + self._evaluations_left * each_s
        return left_s

    @property
    def _weight(self) -> float:
        """Of the measurement that goes on."""
        final = self._outlook.final[self._finals - 1 : self._finals] if self._finals else ()
        return final[0] if final else 1.0

    @property
    def _finals_left(self) -> float:
        """The final ones that are to come. Where nothing is measured during training there is no best checkpoint, which
        would be measured beside the end.
        """
        never = self._outlook.every is None or self._evaluations < 1
        return sum(self._outlook.final[: 1 if never else None][self._finals :])

    @property
    def _evaluations(self) -> float:
        """How many there are during the whole training; in another unit than the work, by the ratio of both so far."""
        every, total = self._outlook.every, self.until.count
        assert every is not None
        if every.unit == self.until.unit:
            return float(total // every.count)
        passed = self.now.count(every.unit)
        return total * passed / self.done // every.count if passed and self.done else math.inf

    @property
    def _evaluations_left(self) -> float:
        every = self._outlook.every
        if every is None or math.isinf(self._evaluations):
            return 0.0
        return max(0.0, self._evaluations - self.now.count(every.unit) // every.count)

    def _each_s(self, at_s: float) -> float:
        """What one evaluation takes: the mean of the newest half of those there were; before the first, a guess."""
        if self._measured_s:
            return fmean(self._measured_s[len(self._measured_s) // 2 :])
        if self._begun_s is not None and self._fraction >= TELLING:
            return (at_s - self._begun_s) / self._fraction / self._weight
        return self._outlook.work * self._unit_s

    @property
    def _unit_s(self) -> float:
        """Seconds to measure one unit of an evaluation's work, before one has told; 0: nobody knows."""
        if self._outlook.unit == "env_steps":
            return self._collecting_s / self._collected if self._collected else 0.0
        samples = self.now.samples - self._first.samples if self._first else 0
        return MEASURING_A_SAMPLE * (self._points[-1][0] - self._points[0][0]) / samples if samples else 0.0

    def _rest_s(self, at_s: float, each_s: float) -> float:
        """Of the measurement that goes on."""
        if self._begun_s is None:
            return 0.0
        taken_s = at_s - self._begun_s
        if self._fraction >= TELLING:
            return taken_s * (1.0 - self._fraction) / self._fraction
        return max(0.0, each_s * self._weight - taken_s)


class Job(NamedTuple):
    """One of several that are done side by side."""

    kind: str
    """Jobs of one kind take about as long."""
    state: Literal["waiting", "running", "ended"]
    taken_s: float = 0.0
    left_s: float | None = None
    """What it says itself."""


def jobs_left_s(jobs: Sequence[Job], side_by_side: int) -> float | None:
    """How long all of them will still take; None: not known yet.

    One that does not know takes as long as the mean of its kind, or of all where its kind has told nothing.
    """
    known = {
        kind: [job.taken_s + (job.left_s or 0.0) for job in jobs if job.kind == kind and _tells(job)]
        for kind in {job.kind for job in jobs}
    }
    of_all = [seconds for told in known.values() for seconds in told]
    left = [job for job in jobs if job.state != "ended"]
    if not of_all:
        return None if left else 0.0
    lanes = [0.0] * side_by_side
    for job in sorted(left, key=lambda job: job.state == "waiting"):  # those that run have their lanes already
        own_s = fmean(known[job.kind] or of_all) - job.taken_s if job.left_s is None else job.left_s
        heapq.heapreplace(lanes, lanes[0] + max(0.0, own_s))
    return max(lanes)


def _tells(job: Job) -> bool:
    return job.state == "ended" or job.left_s is not None
