"""Continual learning: one task after the other, without the samples of those before.

What keeps the earlier tasks is a sum of terms beside the cross-entropy, each of which may be off:

- `anchor`: EWC (Kirkpatrick et al. 2017, https://arxiv.org/abs/1612.00796, equation 3): weight / 2 * sum F (theta -
  theta_old)^2, with the diagonal Fisher information of all tasks so far and the weights after the last one (Huszar
  2018, https://arxiv.org/abs/1712.03847: one penalty and not one for each task).
- `distillation`: LwF (Li and Hoiem 2016, https://arxiv.org/abs/1606.09282, equation 3): the old network's answers for
  the old tasks, at temperature 2, on samples of the new one.
- `replayed`: as many samples of a memory beside each minibatch; with `logits` also the squared distance to the logits
  that were stored with them: DER++ (Buzzega et al. 2020, https://arxiv.org/abs/2004.07211, equation 6).

Each task is a stage. Between two of them the Fisher information, the memory and the old network are made of what the
last checkpoint of the stage before holds, so a run that was killed in any of them goes on to the bit.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from pretraining import recipe
from pretraining.model import ModelAndParts
from pretraining.predictor import Predictor, PredictorConfig, new_predictor
from pretraining.recipe import DataRunConfig, Part
from pretraining.supervised import class_loss
from regimes.memory import Reservoir
from regimes.task_matrix import Matrix
from training.core import Batch, Budget, Counters, to_device
from training.data.dataset import Dataset
from training.data.preprocessing import check_numbers
from training.data.splits import Splits
from training.errors import UserError, require
from training.metrics import Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.optimizer.anchor import Anchor
from training.run.checkpoint import read_state
from training.run.folder import find_checkpoint
from training.run.run import Run
from training.seeding import derived_seed, generator
from training.state import State

TEMPERATURE = 2.0
"""Of the old network's answers (Li and Hoiem 2016, section 3)."""
NEVER = -1e9
"""The logit of a class that is not asked for."""


@dataclass(frozen=True)
class ContinualConfig:
    """What keeps the earlier tasks. All terms at 0 is plain training."""

    can_compile: ClassVar[bool] = False
    """Its terms change from task to task."""
    anchor: float = 0.0
    """The weight of EWC's penalty."""
    fisher_samples: int = 200
    """Of a task, from which its Fisher information is estimated."""
    distillation: float = 0.0
    """The weight of LwF's term."""
    replayed: int = 0
    """Samples of the memory beside each minibatch."""
    memory: int = 200
    """Samples of all tasks that are kept."""
    logits: float = 0.0
    """The weight of DER++'s squared distance to stored logits."""
    scenario: Literal["task", "class"] = "task"
    """task: it is told of which task a sample is, and answers with one of its classes; class: it is not told."""
    optimizer: OptimizerConfig = OptimizerConfig("adam", learning_rate=1e-3)
    """Begins anew with every task."""

    def __post_init__(self) -> None:
        for name in ("anchor", "distillation", "logits"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "a number of at least 0")
        for name in ("fisher_samples", "memory"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.replayed >= 0, "replayed", self.replayed, "at least 0")
        require(not self.logits or self.replayed > 0, "logits", self.logits, "0 without replayed samples")


class Continual(ModelAndParts):
    """Learns one task of several: samples [B, ...] with a `target` and the number of their `task` [B].

    Args:
        model: a classifier of all classes.
        config: what keeps the earlier tasks.
        tasks: the classes of each task.
        task: the number of the one that is learned, from 0.
        until: the budget of this task, in updates.
        seed: of the run.
    """

    score = "log_likelihood"

    def __init__(
        self,
        model: Predictor,
        config: ContinualConfig,
        tasks: Sequence[Sequence[int]],
        *,
        task: int,
        until: Budget,
        seed: int,
    ) -> None:
        self.model, self._config, self._task, self._seed = model, config, task, seed
        device = model.temperature.device
        self._allowed = torch.zeros(len(tasks), model.classes, dtype=torch.bool, device=device)
        for number, classes in enumerate(tasks):
            self._allowed[number, list(classes)] = True
        parameters = dict(model.named_parameters())
        self._optimizer = Optimizer(parameters, config.optimizer, until=until)
        nothing = {name: torch.zeros_like(value) for name, value in parameters.items()}
        self._anchor = Anchor(parameters, config.anchor, importance=nothing)
        self._memory = Reservoir(config.memory, seed=seed)
        self._old = copy.deepcopy(model).requires_grad_(requires_grad=False)
        self.parts: dict[str, Any] = {"optimizer": self._optimizer}
        if config.anchor:
            self.parts["anchor"] = self._anchor
        if config.replayed:
            self.parts["memory"] = self._memory
        if config.distillation:
            self.parts["old"] = self._old

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        if self._config.replayed and len(self._memory):
            again = self._memory.sample(self._config.replayed)
            batch = batch | {f"memory/{key}": value for key, value in again.items()}
        return self._optimizer.step(self._loss, to_device(batch, self.model.temperature.device), now), {}

    def _loss(self, batch: Batch) -> Loss:
        config = self._config
        outputs = self.model(batch)
        loss = class_loss(self._asked(outputs, batch["task"]), batch["target"], 0.0)
        more = torch.zeros((), device=outputs.device)
        again = {key.removeprefix("memory/"): value for key, value in batch.items() if key.startswith("memory/")}
        if again:
            said = self.model(again)
            kept = class_loss(self._asked(said, again["task"]), again["target"], 0.0)
            more = more + kept.sum / kept.count + config.logits * (said - again["logits"]).square().mean()
        if config.distillation and self._task:
            more = more + config.distillation * self._distance_to_old(batch, outputs)
        if config.anchor:
            more = more + self._anchor.penalty()
        return loss._replace(sum=loss.sum + more * loss.count)

    def _distance_to_old(self, batch: Batch, outputs: Tensor) -> Tensor:
        """The cross-entropy of the old network's answers for each earlier task, summed over these."""
        with torch.no_grad():
            old = self._old(batch)
        total = torch.zeros((), device=outputs.device)
        for classes in self._allowed[: self._task]:
            wanted = torch.softmax(old[:, classes] / TEMPERATURE, -1)
            total = total - (wanted * F.log_softmax(outputs[:, classes] / TEMPERATURE, -1)).sum(-1).mean()
        return total

    def _asked(self, outputs: Tensor, task: Tensor, last: int | None = None) -> Tensor:
        """The logits [B, classes] without those of classes that are no answer, up to the task `last`, or this one."""
        seen = self._allowed[: (self._task if last is None else last) + 1].any(0)
        allowed = self._allowed[task] if self._config.scenario == "task" else seen
        return torch.where(allowed, outputs, NEVER)

    def go_on_from(self, state: State, data: Dataset) -> None:
        """Takes over what an algorithm with this state has learned, whose task's training split is `data`."""
        self.model.load_state_dict(state["model"]["weights"])
        for name, part in (("anchor", self._anchor), ("memory", self._memory)):
            if name in self.parts:
                part.load_state_dict(state[name])
        if "anchor" in self.parts:
            fisher = self._fisher(data)
            importance = {name: value + fisher[name] for name, value in self._anchor.importance.items()}
            parameters = dict(self.model.named_parameters())
            self._anchor = self.parts["anchor"] = Anchor(parameters, self._config.anchor, importance=importance)
        if "memory" in self.parts:
            batch = data.gather(torch.arange(len(data)))
            with torch.no_grad():
                logits = self.model(to_device(batch, self.model.temperature.device)).cpu()
            self._memory.offer(batch | {"logits": logits})
        if "old" in self.parts:
            self._old.load_state_dict(self.model.state_dict())

    def _fisher(self, data: Dataset) -> dict[str, Tensor]:
        """The mean squared gradient of the log-likelihood of answers that are drawn from the network's own: those of
        the data would give the empirical Fisher information, which is another matrix."""
        rng = generator(self._seed, "fisher", self._task)
        rows = torch.randperm(len(data), generator=rng)[: self._config.fisher_samples]
        parameters = dict(self.model.named_parameters())
        total = {name: torch.zeros_like(value) for name, value in parameters.items()}
        for row in rows.split(1):
            batch = to_device(data.gather(row), self.model.temperature.device)
            log = torch.log_softmax(self._asked(self.model(batch), batch["task"], self._task - 1), -1)[0]
            drawn = int(torch.multinomial(log.detach().exp().cpu(), 1, generator=rng))
            gradients = torch.autograd.grad(log[drawn], list(parameters.values()))
            for value, gradient in zip(total.values(), gradients, strict=True):
                value += gradient.square() / len(rows)
        return total

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        right, likelihood, samples = 0, 0.0, 0
        for batch in batches:
            seen = to_device(batch, self.model.temperature.device)
            log = torch.log_softmax(self._asked(self.model(seen), seen["task"]).double(), -1)
            right += int((log.argmax(-1) == seen["target"]).sum())
            likelihood += float(log.gather(1, seen["target"].unsqueeze(1)).sum())
            samples += len(log)
        return {"accuracy": right / samples, "log_likelihood": likelihood / samples}


@dataclass(frozen=True, kw_only=True)
class ContinualRunConfig(DataRunConfig):
    """How each task is learned; the budget is that of one task."""

    algorithm: ContinualConfig = ContinualConfig()
    model: PredictorConfig = PredictorConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.learners == 1, "learners", self.learners, "1: the memory is drawn from in one process")


def with_tasks(data: Dataset, tasks: Sequence[Sequence[int]]) -> Dataset:
    """The samples with the number of their task as `task`. Raises UserError for tasks that share a class, lack one of
    the target's or name another, and where one of them has no samples."""
    if not isinstance(data.target, spaces.Discrete):
        raise UserError(f"{data.source} has no classes to make tasks of: its target is {data.target}")
    if len(tasks) < 2:
        raise UserError(f"tasks: there are {len(tasks)}, and nothing to forget: it takes at least two")
    classes, named = int(data.target.n), [label for own in tasks for label in own]
    for label in sorted({*range(classes), *named}):
        if label not in range(classes):
            raise UserError(f"tasks: there is no class {label}: {data.source} has 0 to {classes - 1}")
        if named.count(label) != 1:
            told = "no task" if label not in named else f"{named.count(label)} tasks"
            raise UserError(f"tasks: class {label} is in {told}: each of 0 to {classes - 1} takes one")
    number = np.zeros(classes, np.int64)
    for task, own in enumerate(tasks):
        number[list(own)] = task
    task_of = number[data.array("target")]
    for task, own in enumerate(tasks):
        if task not in task_of:
            raise UserError(f"tasks: {data.source} has no samples of task {task + 1}, classes {list(own)}")
    arrays = {key: data.array(key) for key in data.arrays} | {"task": task_of}
    return replace(data, arrays=arrays, rows=None)


def by_task(whole: Splits) -> list[Splits]:
    """The splits of each task."""
    numbers = range(int(whole.train.array("task").max()) + 1)
    return [Splits(*(part.select(np.flatnonzero(part.array("task") == task)) for part in whole)) for task in numbers]


def train(
    config: ContinualRunConfig, run: Run, name: str, splits: Sequence[Splits], tasks: Sequence[Sequence[int]]
) -> Matrix:
    """Learns the tasks one after the other, each as a stage `<name>-<number>`; returns the task matrix.

    Args:
        config: of each task.
        run: that has the stages.
        name: of what keeps the earlier tasks.
        splits: of each task, see `by_task`.
        tasks: the classes of each.

    Raises:
        UserError: a value of any task is no number, before the first one is learned.
    """
    for own in splits:
        check_numbers(own, config.model.preprocessing)
    matrix = np.zeros((len(tasks), len(tasks)))
    before: Run | None = None
    for task in range(len(tasks)):
        stage = run.stage(f"{name}-{task + 1}")
        if not stage.finished:
            _learn(config, stage, splits[task], splits, tasks, task, before)
        matrix[task] = scores(stage, len(tasks))
        before = stage
    return matrix


def train_at_once(
    config: ContinualRunConfig, stage: Run, whole: Splits, splits: Sequence[Splits], tasks: Sequence[Sequence[int]]
) -> None:
    """All tasks in one stage: what could be reached if nothing had to be kept apart."""
    _learn(config, stage, whole, splits, tasks, len(tasks) - 1, None)


def scores(stage: Run, tasks: int) -> list[float]:
    """The accuracy of each task after a stage."""
    return [float(stage.result["metrics"][_key(task)]) for task in range(tasks)]


def _learn(
    config: ContinualRunConfig,
    stage: Run,
    seen: Splits,
    splits: Sequence[Splits],
    tasks: Sequence[Sequence[int]],
    task: int,
    before: Run | None,
) -> None:
    # Nothing is known of later tasks: the statistics of the inputs are those of what is learned first.
    first = splits[0].train if before is not None else seen.train
    model = new_predictor(first, config.model, config.seed)

    def make_algorithm(model: Predictor, own: ContinualConfig, until: Budget) -> Continual:
        seed = derived_seed(config.seed, "task", task)
        algorithm = Continual(model, own, tasks, task=task, until=until, seed=seed)
        if before is not None:
            saved = read_state(find_checkpoint(before.folder, "last"), "algorithm")
            algorithm.go_on_from(saved, splits[task - 1].train)
        return algorithm

    def measure(algorithm: Continual, _: dict[str, float]) -> dict[str, float]:
        size = config.evaluation.minibatch_size
        return {
            _key(other): algorithm.measure(own.test.batches(size), "test")["accuracy"]
            for other, own in enumerate(splits)
        }

    recipe.train(config, stage, seen, model, make_algorithm, measure=measure)


def _key(task: int) -> str:
    """The measure of a stage for a task."""
    return f"task_{task + 1}/accuracy"
