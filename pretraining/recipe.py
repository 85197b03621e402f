"""The recipe of every experiment that learns from data: its config, and how its run is put together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from torch import nn

from training.core import Algorithm, Batch, Budget, Every, Stream, Unit
from training.data.dataset import Dataset
from training.data.quality.report import Quality, check
from training.data.splits import Splits
from training.data.streams import Shuffled
from training.errors import require
from training.metrics import Last, Metrics
from training.optimizer.config import with_compile
from training.recipe import RunConfig, choose_compute, fit_run
from training.run.checkpoint import Checkpoint, CheckpointConfig, DamagedError, read_state
from training.run.forecast import Outlook
from training.run.run import Run

Part = Literal["validation", "test"]


class MeasuredAlgorithm(Algorithm, Protocol):
    """An algorithm that learns from data and can be measured on what it has not seen."""

    score: str
    """The measure by which the best checkpoint is chosen; higher is better."""

    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        """What all samples of a split measure, with the averaged weights where there are some.

        Nothing that training reads may move; what is chosen by the validation split (a temperature) may.
        """
        ...


N = TypeVar("N", bound=nn.Module)
L = TypeVar("L", bound=MeasuredAlgorithm)


@dataclass(frozen=True)
class HeldOutConfig:
    """How often what was not learned from is measured."""

    every: Every = Every(1, "epochs")
    minibatch_size: int = 1024
    """Samples that are measured together."""

    def __post_init__(self) -> None:
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")


@dataclass(frozen=True, kw_only=True)
class DataRunConfig(RunConfig):
    """From how much to learn, and when to stop. An experiment sets the algorithm's config."""

    algorithm_field: ClassVar[str] = "algorithm"
    unknown_unit: ClassVar[Unit] = "env_steps"
    algorithm: Any
    epochs: int | None = 50
    """The budget in passes over the training split; None: `steps` says it."""
    steps: int | None = None
    """The budget in gradient steps."""
    max_seconds: float | None = None
    """Ends the training when it has taken so long, whatever is left of the budget; such a run is not exact."""
    minibatch_size: int = 64
    quality: Quality = "none"
    """Look at the data before training: warn says what is wrong with them, refuse does not train then."""
    evaluation: HeldOutConfig = HeldOutConfig()
    log_every: Every = Every(50, "updates")
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(1_000, "updates"))

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            (self.epochs is None) != (self.steps is None),
            "steps",
            self.steps,
            "None where epochs is set, or epochs = None",
        )
        for name in ("epochs", "steps"):
            count = getattr(self, name)
            require(count is None or count >= 1, name, count, "at least 1, or None")
        require(self.max_seconds is None or self.max_seconds > 0, "max_seconds", self.max_seconds, "above 0, or None")
        require(self.minibatch_size >= 1, "minibatch_size", self.minibatch_size, "at least 1")

    @property
    def until(self) -> Budget:
        if self.steps is not None:
            return Budget(self.steps, "updates")
        assert self.epochs is not None
        return Budget(self.epochs, "epochs")


class HeldOut:
    """Measures the validation split, and at the end the test split too."""

    def __init__(self, splits: Splits, config: HeldOutConfig, score: str) -> None:
        self.every, self.score = config.every, f"validation/{score}"
        self._splits, self._minibatch_size = splits, config.minibatch_size
        validation, test = len(splits.validation), len(splits.test)
        both = 1.0 + test / validation if validation else 1.0
        self.outlook = Outlook(config.every, (both, both), validation, "samples")

    def __call__(self, algorithm: Algorithm) -> Metrics:
        return {key: Last(value) for key, value in self.measure(algorithm, "validation").items()}

    def final(self, algorithm: Any) -> dict[str, float]:
        """Of both splits, each under its name."""
        return self.measure(algorithm, "validation") | self.measure(algorithm, "test")

    def measure(self, algorithm: Any, part: Part) -> dict[str, float]:
        """`<part>/<measure>` of one split."""
        data: Dataset = getattr(self._splits, part)
        measured = algorithm.measure(data.batches(self._minibatch_size), part)
        return {f"{part}/{key}": float(value) for key, value in measured.items()}


def train(
    config: DataRunConfig,
    run: Run,
    splits: Splits,
    network: N,
    make_algorithm: Callable[[N, Any, Budget], L],
    *,
    make_stream: Callable[[Dataset], Stream] | None = None,
    measure: Callable[[L, dict[str, float]], Mapping[str, float]] | None = None,
) -> None:
    """One run: `fit` on the training split, then the last measurements, of the end and of the best checkpoint.

    Args:
        config: of the experiment.
        run: its folder.
        splits: the data.
        network: with its weights drawn and its preprocessing fitted.
        make_algorithm: makes the algorithm, of the network on its device, its config (compiled or not, as was chosen)
            and the budget in updates.
        make_stream: of the training split; by default shuffled minibatches.
        measure: what else the result says, by the algorithm and what it measured.

    Raises:
        UserError: the data are others than those that the run began with.
    """
    run.require_same_data(splits.train.source, [part.sha256 for part in splits])
    check(splits, config.quality, run.folder, seed=config.seed)
    rows = len(splits.train)
    gradient_steps = config.steps or config.until.count * -(-rows // config.minibatch_size)
    compute = choose_compute(
        config, run, network, gradient_steps=gradient_steps, samples_per_step=min(rows, config.minibatch_size)
    )
    own = with_compile(config.algorithm, compute.compile)
    # A schedule that counts updates moves inside of an epoch too.
    algorithm = make_algorithm(network, own, Budget(gradient_steps, "updates"))
    stream = (
        make_stream(splits.train) if make_stream else Shuffled(splits.train, config.minibatch_size, seed=config.seed)
    )
    sizes = ", ".join(f"{len(part):,} {name}" for name, part in zip(Splits._fields, splits, strict=True))
    print(f"learning from {splits.train.source}: {sizes} samples", file=sys.stderr)
    evaluate = HeldOut(splits, config.evaluation, algorithm.score)
    stop = partial(run.out_of_time, config.max_seconds)
    now, checkpoint = fit_run(config, run, compute, algorithm, stream, evaluate, stop)

    def measured() -> dict[str, float]:
        with run.measuring():
            found = evaluate.final(algorithm)
            return found | dict(measure(algorithm, found) if measure else {})

    final = measured()
    run.finish(now, metrics=final, best=measured() if _restore_best(config, checkpoint, algorithm) else {})


def _restore_best(config: DataRunConfig, checkpoint: Checkpoint, algorithm: MeasuredAlgorithm) -> bool:
    """Gives the algorithm its state of the best checkpoint; False where there is none or it is damaged."""
    if checkpoint.best is None:
        return False
    try:
        algorithm.load_state_dict(read_state(checkpoint.best, config.algorithm_field))
    except DamagedError as error:
        print(f"the best checkpoint cannot be measured: {error}", file=sys.stderr)
        return False
    return True
