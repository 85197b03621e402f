"""The one loop: every kind of training is a stream, an algorithm and this function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from training import interruption, learners
from training.core import Algorithm, Budget, Counters, Every, Stream
from training.metrics import Metrics
from training.run.checkpoint import Checkpoint
from training.run.forecast import Outlook
from training.run.logger import Logger


class Evaluate(Protocol):
    """Measures what has been learned, without moving any part of the training.

    One that takes long raises `interruption.Interrupted` when a signal asked the run to end.
    """

    every: Every
    score: str  # the metric by which the best checkpoint is chosen; higher is better

    @property
    def outlook(self) -> Outlook:
        """How much of it there will be."""
        ...

    def __call__(self, algorithm: Algorithm) -> Metrics: ...


def never(_: Counters) -> bool:
    """Nothing ends the training but its budget."""
    return False


def fit(
    algorithm: Algorithm,
    stream: Stream,
    *,
    until: Budget,
    log: Logger,
    evaluate: Evaluate | None = None,
    checkpoint: Checkpoint | None = None,
    stop: Callable[[Counters], bool] = never,
) -> Counters:
    """Trains until the budget is spent, from the last checkpoint where there is one; returns the final counters.

    `stop` is asked between two iterations and may end it earlier; what it answers must be the same after a resume.

    Saving happens between two iterations and changes nothing, so a run that is killed and started again continues as
    if it had never stopped. Raises `interruption.Interrupted` after saving when a signal asked the run to end.
    """
    now = checkpoint.restore() if checkpoint else Counters()
    if (
        evaluate is not None
        and checkpoint
        and checkpoint.unmeasured
        and _measure(algorithm, evaluate, log, checkpoint, now)
    ):
        checkpoint.save(now)
    while not until.reached(now) and not stop(now):
        with log.collecting():
            batch, after, collected = stream.next(now)
        learned, feedback = algorithm.update(batch, now)
        stream.learned(feedback)
        before, now = now, after.advance(updates=1)

        log.progress(now)
        log.add(collected)
        log.add(learned)
        is_best = False
        if evaluate is not None and evaluate.every.due(before, now):
            is_best = _measure(algorithm, evaluate, log, checkpoint, now)
        elif log.every.due(before, now):
            log.write(now)
        asked_to_end = learners.largest(interruption.requested() or 0)
        if checkpoint and (is_best or asked_to_end or checkpoint.every.due(before, now)):
            checkpoint.save(now)
        if asked_to_end:
            raise interruption.Interrupted(asked_to_end)
    log.write(now)
    if checkpoint:
        checkpoint.save(now)
    return now


def _measure(
    algorithm: Algorithm, evaluate: Evaluate, log: Logger, checkpoint: Checkpoint | None, now: Counters
) -> bool:
    """Evaluates and writes a row; whether it is the best score so far.

    Where a signal ends the evaluation, what was trained is saved; the evaluation is made when the run goes on.
    """
    try:
        with log.measuring():
            measured = evaluate(algorithm)
    except interruption.Interrupted:
        if checkpoint:
            checkpoint.save(now, unmeasured=True)
        raise
    log.add(measured)
    log.write(now)
    return checkpoint is not None and checkpoint.score(learners.agreed(float(measured[evaluate.score].value)), now)
