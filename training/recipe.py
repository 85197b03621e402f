"""What every recipe shares, whatever it learns from: its config, its device and threads, and `fit` in the run's folder.

A recipe is the config of an experiment and the function that puts its run together: first the parts, then the loop.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from torch import nn

from training import learners
from training.core import Algorithm, Budget, Counters, Every, Stream, Unit
from training.errors import require
from training.fit import Evaluate, fit
from training.optimizer.config import all_can_compile, optimizers_of, with_compile
from training.run.checkpoint import Checkpoint, CheckpointConfig
from training.run.compute import Compute, OnDevice, choose_compile, choose_device, choose_threads, multiplications_of
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """How something is measured that is not trained; it needs no loop, and its run has a result alone."""

    seed: int = 1

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed", self.seed, "an integer of at least 0")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """How anything is trained and measured. An experiment sets the algorithm's config."""

    algorithm_field: ClassVar[str]
    """The field that holds the algorithm's config; also the name of its part in a checkpoint."""
    unknown_unit: ClassVar[Unit]
    """What its counters never count."""
    seed: int = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | Literal["auto"] = "auto"
    """CPU threads of torch; auto: one for small networks, which more would slow down (see docs/performance.md)."""
    compile: bool | Literal["auto"] = "auto"
    """Compile the update (loss, gradient, clipping, optimizer); auto: where the run is long enough to pay for it."""
    patience: int | None = None
    """Ends the training after so many evaluations without a new best score; None: the whole budget is spent."""
    max_joules: float | None = None
    """Ends the training when it has taken so much energy, whatever is left of the budget; such a run is not exact."""
    learners: int = 1
    """Processes that divide every gradient among them, on Ray: the same run, sooner where gradients cost the most."""
    evaluation: Any
    """How often and how it is measured."""
    log_every: Every = Every(2_000, "env_steps")
    checkpoint: CheckpointConfig = CheckpointConfig()

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed", self.seed, "an integer of at least 0")
        require(self.threads == "auto" or self.threads >= 1, "threads", self.threads, "at least 1, or 'auto'")
        require(self.patience is None or self.patience >= 1, "patience", self.patience, "at least 1, or None")
        joules = self.max_joules
        require(joules is None or 0 < joules < math.inf, "max_joules", joules, "a number above 0, or None")
        require(self.learners >= 1, "learners", self.learners, "at least 1")
        alone = self.learners == 1 or self.compile is not True
        require(alone, "compile", self.compile, f"False or 'auto' with learners = {self.learners}")
        known = [unit for unit in get_args(Unit) if unit != self.unknown_unit]
        for part, every in (
            ("log_every", self.log_every),
            ("checkpoint.every", self.checkpoint.every),
            ("evaluation.every", self.evaluation.every),
        ):
            # A cadence in the unit that is never counted would never be due.
            require(
                every.unit in known, f"{part}.unit", every.unit, f"{', '.join(map(repr, known[:-1]))} or {known[-1]!r}"
            )
        for name, optimizer in optimizers_of(self.algorithm_config).items():
            takes = "False; set the run's --compile"
            require(not optimizer.compile, f"{self.algorithm_field}.{name}.compile", optimizer.compile, takes)
        if self.compile is True:
            with_compile(self.algorithm_config, True)  # noqa: FBT003 - it raises where it cannot be compiled

    @property
    def until(self) -> Budget:
        """When the run is finished."""
        raise NotImplementedError

    def why_stop(self, checkpoint: Checkpoint) -> str | None:
        """Why the training ends before its budget is spent, by the scores so far; None: it goes on.

        They are part of the checkpoints, so that a resumed run stops where it would have.
        """
        if self.patience is None or checkpoint.scores_since_best < self.patience:
            return None
        return f"patience = {self.patience}: that many evaluations brought no new best score"

    @property
    def algorithm_config(self) -> Any:
        return getattr(self, self.algorithm_field)


def choose_compute(
    config: RunConfig,
    run: Run,
    network: nn.Module,
    *,
    gradient_steps: int,
    samples_per_step: int,
    compiles_at_once: bool = False,
) -> Compute:
    """Chooses device, threads and whether to compile, and moves the network to the device.

    Args:
        config: what of it is asked for, and what is left to be chosen.
        run: where the choices are recorded.
        network: all that is trained, by whose size is chosen.
        gradient_steps: of the whole run, about.
        samples_per_step: of each of them.
        compiles_at_once: compiling takes no time that is worth mentioning, so that short runs are compiled, too.
    """
    if (count := learners.count()) < learners.asked():
        run.not_exact(f"gradients were added up over {count} of {learners.asked()} learners, in another order")
    size = multiplications_of(network, samples_per_step)
    device = choose_device(run, config.device, multiplications=size)
    network.to(device)
    alone = config.learners == learners.asked() == 1
    possible = device.type == "cpu" and alone and all_can_compile(config.algorithm_config)
    threads = choose_threads(run, config.threads, multiplications=size)
    at_once = compiles_at_once and threads == 1
    steps = gradient_steps * len(optimizers_of(config.algorithm_config))
    compiles = choose_compile(run, config.compile, possible=possible, at_once=at_once, optimizer_steps=steps)
    compute = Compute(device, threads, compiles)
    print(compute, file=sys.stderr)
    return compute


def fit_run(
    config: RunConfig,
    run: Run,
    compute: Compute,
    algorithm: Algorithm,
    stream: Stream,
    evaluate: Evaluate,
    stop: Callable[[], str | None] | None = None,
) -> tuple[Counters, Checkpoint]:
    """`fit` with the run's log and checkpoints; returns the final counters and the checkpoints.

    The config's `why_stop` may end it before the budget is spent, and so may `stop`, which answers why or None.
    """
    until = config.until
    log = run.open_log(every=config.log_every, until=until, outlook=evaluate.outlook)
    parts = {config.algorithm_field: algorithm, "stream": stream, "device": OnDevice(compute.device)}
    checkpoint = run.checkpoint(parts, config.checkpoint)

    def ends(_: Counters) -> bool:
        why = config.why_stop(checkpoint) or (stop() if stop else None)
        return run.stop_early(why or run.out_of_energy(config.max_joules))

    now = fit(algorithm, stream, until=until, log=log, evaluate=evaluate, checkpoint=checkpoint, stop=ends)
    return now, checkpoint
