"""The one optimizer layer: rules by parameter name, accumulation, clipping, schedules, precision, averaging.

`Optimizer.step(loss_fn, batch, now)` is one update. It is `apply(gradient(loss_fn, batch), now)`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn

from training import learners
from training.core import Batch, Budget, Counters
from training.errors import UserError, require
from training.metrics import Last, Mean, Metrics, Sum
from training.optimizer.adam import AdamGroup
from training.optimizer.compiled_update import CompiledUpdate, NotCompilableError, select
from training.optimizer.config import OptimizerConfig, assign_rules, build_optimizers
from training.optimizer.gradient import Gradient, Loss, Number, added, clip, rows_of, split_batch, split_for_learners
from training.optimizer.kernel import Kernel
from training.optimizer.moments import check_moments, check_names, check_shape, load_moments, moments_of
from training.optimizer.non_finite import DeferredCheck, NonFinite, describe
from training.optimizer.precision import autocast
from training.state import State

LossFunction: TypeAlias = Callable[[Batch], Loss]
Measures: TypeAlias = Sequence[Tensor] | Tensor
"""One number [] for each trainable parameter."""


class Optimizer:
    """Updates the named parameters by the rules of `config`; frozen ones get `requires_grad = False`.

    Learning rates follow the counters given to `apply`, in a run of the budget `until`. Metrics are named
    `<name>/loss`, `<name>/gradient_norm` (before clipping), `<name>/learning_rate` (with several rules one for each
    pattern) and, where updates may be skipped, `<name>/skipped_updates`; the loss's own are added to them.

    With `whole_batch` the loss is one of all samples together, such as a contrastive one, and that of a part would be
    another: several learners compute all of it each, and micro-batches are refused.

    Raises UserError when a pattern gets no parameter, when no rule covers a parameter, when muon would get something
    that is not a matrix, and when the device cannot compute in the precision.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        config: OptimizerConfig,
        *,
        until: Budget,
        name: str = "optimizer",
        whole_batch: bool = False,
    ) -> None:
        self.parameters = dict(parameters)
        self.config, self.until, self.name = config, until, name
        rules = assign_rules(self.parameters, config, name)
        for key, rule in rules.items():
            self.parameters[key].requires_grad_(not rule.frozen)
        self.trainable = {key: self.parameters[key] for key, rule in rules.items() if not rule.frozen}
        if not self.trainable:
            raise UserError(f"{name}.rules: they freeze every parameter, so that nothing is left to train")
        self._leaves: list[Tensor] = list(self.trainable.values())
        self._optimizers = build_optimizers(self.trainable, rules, config)
        self._scheduled_for: Counters | None = None
        self._rates: Metrics = {}
        self._set_learning_rates(Counters())

        device = self._leaves[0].device
        self._autocast = autocast(device, config.precision, name)
        # Where it is not enabled it changes nothing.
        self._scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self._counts_skipped = config.on_non_finite == "skip" or self._scaler.is_enabled()
        kinds = {rules[key].kind for key in self.trainable}
        defers = device.type == "cuda" and kinds <= {"adam", "adamw"} and not self._counts_skipped
        self._deferred = DeferredCheck(self.trainable) if defers else None
        self._averages = [leaf.detach().clone() for leaf in self._leaves] if config.ema_decay is not None else []
        several = learners.count() > 1
        self._whole_batch = whole_batch
        takes = "1: the loss is of the whole batch"
        require(not whole_batch or config.micro_batches == 1, f"{name}.micro_batches", config.micro_batches, takes)
        require(
            not (several and config.precision == "fp16"), f"{name}.precision", "fp16", "'bf16' with several learners"
        )
        require(not (several and config.compile), "compile", True, "False with several learners")  # noqa: FBT003
        # A function and no bound method, which would keep the optimizer alive until Python looks for circles.
        self._way: Callable[[Optimizer, LossFunction, Batch], Gradient] = Optimizer._gradient_at_once
        if several:
            self._way = Optimizer._gradient_of_learners
        elif config.micro_batches > 1:
            self._way = Optimizer._gradient_of_micro_batches
        compiles = config.compile
        self._compiled = CompiledUpdate(self._leaves, config.max_grad_norm, self._autocast) if compiles else None
        self._group_parameters()

    def step(
        self,
        loss_fn: LossFunction,
        batch: Batch,
        now: Counters,
        rows: Tensor | None = None,
        prepare: Callable[[Batch], Batch] | None = None,
    ) -> Metrics:
        """One update on the samples `rows` [B] of `batch`; None: on all of them. Raises NonFinite.

        `now` is how far the run had come before it. `prepare` computes what these samples need as a whole, before they
        are split into micro-batches. With `compile` on, `loss_fn` and `prepare` must be the same functions in every
        call, and no global that they read may change: what changes comes as tensors.
        """
        if self._compiled is None:
            return self.apply(self._way(self, loss_fn, select(batch, rows, prepare)), now)
        self._set_learning_rates(now)
        blocked = self._deferred.bad if self._deferred is not None else None
        try:
            made = self._compiled(self._adam_groups, loss_fn, batch, rows, prepare, blocked)
        except NotCompilableError as error:
            print(f"warning: {self.name}: its update cannot be compiled: {error}; not compiling", file=sys.stderr)
            self._compiled = None
            return self.step(loss_fn, batch, now, rows, prepare)
        measured = self._finite(now, made.loss, made.norms, made.norm)
        if measured is None:
            return self._refuse(now, made.loss, made.norms)
        self._average()
        return self._metrics(made.metrics, measured)

    def steps_by(self, kernel: Kernel, parameters: Sequence[Tensor], now: Counters) -> Metrics:
        """Updates that a kernel makes by itself on these parameters, in its order; all take `now` as their counters.

        It is for plain Adam on all parameters. Raises NonFinite, after the updates before it.
        """
        self._set_learning_rates(now)
        (group,) = self._adam_groups
        made = kernel(group.moments(parameters, self.config.max_grad_norm))
        group.count(made.updates)
        if made.updates < len(made.sizes):
            norms = {id(leaf): norm for leaf, norm in zip(parameters, made.norms.tolist(), strict=True)}
            own = [norms[id(leaf)] for leaf in self.trainable.values()]
            told = describe(float(made.measured[made.updates, 0]), own, list(self.trainable))
            raise NonFinite(now.updates + 1, told)
        sizes = torch.tensor(made.sizes, dtype=made.measured.dtype)
        samples = sum(made.sizes)
        of_loss = (sizes @ made.measured[:, 2:] / samples).tolist()
        loss, norm = made.measured[:, :2].mean(0).tolist()
        metrics = self._metrics(
            {name: Mean(value, samples) for name, value in zip(made.names, of_loss, strict=True)}, (loss, norm)
        )
        for name in (f"{self.name}/loss", f"{self.name}/gradient_norm"):
            metrics[name] = Mean(metrics[name].value, len(made.sizes))
        return metrics

    def gradient(self, loss_fn: LossFunction, batch: Batch) -> Gradient:
        """The gradient of a loss on a batch: (sum of the sums) / (sum of the counts) over its micro-batches.

        Every tensor of the batch is split along its leading dimension, as evenly as can be. Only the trainable
        parameters are differentiated; one that the loss does not reach has a gradient of zero. It is computed in one of
        three ways: the whole batch at once, accumulated over micro-batches, or shared among several learners.
        """
        return self._way(self, loss_fn, batch)

    def _gradient_at_once(self, loss_fn: LossFunction, batch: Batch) -> Gradient:
        self._clear()
        with self._autocast:
            loss = loss_fn(batch)
        objective = loss.sum / loss.count
        self._scaler.scale(objective).backward(inputs=self._leaves)
        return Gradient(self._unscaled(), objective.detach(), loss.metrics)

    def _gradient_of_micro_batches(self, loss_fn: LossFunction, batch: Batch) -> Gradient:
        self._clear()
        rows, losses = rows_of(batch), []
        for part in split_batch(batch, self.config.micro_batches, f"{self.name}.micro_batches"):
            with self._autocast:
                loss = loss_fn(part)
            # The count is only known at the end. Until then sums are divided by the rows, as fp16 overflows easily.
            objective = loss.sum / rows
            self._scaler.scale(objective).backward(inputs=self._leaves)
            losses.append(loss._replace(sum=objective.detach()))
        values, total = self._unscaled(), added(losses)
        count_per_row = total.count / rows
        torch._foreach_div_(values, count_per_row)
        return Gradient(values, total.sum / count_per_row, total.metrics)

    def _gradient_of_learners(self, loss_fn: LossFunction, batch: Batch) -> Gradient:
        self._clear()
        rows, losses = rows_of(batch), []
        own, weight = (batch, 1.0) if self._whole_batch else learners.share(batch, split_for_learners)
        for part in split_batch(own, self.config.micro_batches, f"{self.name}.micro_batches"):
            with self._autocast:
                loss = loss_fn(part)
            objective = loss.sum / rows
            objective.backward(inputs=self._leaves)  # not scaled: fp16 is refused
            losses.append(loss._replace(sum=objective.detach()))
        own_sum, own_count, own_metrics = added(losses)
        values, total, count_per_row, metrics = learners.summed(
            self._unscaled(), own_sum, own_count / rows, own_metrics, weight
        )
        torch._foreach_div_(values, count_per_row)
        return Gradient(values, total / count_per_row, metrics)

    def _clear(self) -> None:
        """Before a gradient: what is left of the last one would be added to it."""
        for leaf in self._leaves:
            leaf.grad = None

    def _unscaled(self) -> list[Tensor]:
        """The gradient of each leaf, without the loss scale; zero where the loss does not reach it."""
        for optimizer in self._optimizers:
            self._scaler.unscale_(optimizer)
        return [leaf.grad if leaf.grad is not None else torch.zeros_like(leaf) for leaf in self._leaves]

    def apply(self, gradient: Gradient, now: Counters) -> Metrics:
        """Clips the gradient in place, sets the learning rates for `now` and updates the parameters.

        Raises NonFinite; the parameters stay as they were. Where reading a value would stall the device (adam and
        adamw on CUDA) it is raised up to 100 updates late, at the latest by `state_dict`; none of those was made.
        """
        values, config = gradient.values, self.config
        norms = torch._foreach_norm(values)
        norm = torch.linalg.vector_norm(torch.stack(norms))
        measured = self._finite(now, gradient.loss, norms, norm)
        if measured is None:
            return self._refuse(now, gradient.loss, norms)
        self._set_learning_rates(now)
        if config.max_grad_norm is not None:
            clip(values, measured[1], config.max_grad_norm)
        for group in self._adam_groups:
            group.step(values, None if self._deferred is None else self._deferred.bad)
        if self._other_optimizers:
            for leaf, value in zip(self._leaves, values, strict=True):
                leaf.grad = value
            for optimizer in self._other_optimizers:
                optimizer.step()
        self._scaler.update()
        self._average()
        return self._metrics(gradient.metrics, measured)

    def _finite(self, now: Counters, loss: Number, norms: Measures, norm: Number) -> tuple[Number, Number] | None:
        """Loss and norm, as numbers where reading them costs nothing; None: they are not finite."""
        if self._deferred is not None:
            assert isinstance(loss, Tensor)
            assert isinstance(norm, Tensor)
            self._deferred.add(now.updates + 1, loss, norms, norm)
            return loss, norm
        measured = float(loss), float(norm)
        return measured if math.isfinite(sum(measured)) else None

    def _average(self) -> None:
        if self.config.ema_decay is not None:
            with torch.no_grad():
                torch._foreach_lerp_(self._averages, self._leaves, 1.0 - self.config.ema_decay)

    def _metrics(self, of_loss: Metrics, measured: tuple[Number, Number]) -> Metrics:
        loss, norm = measured
        own: Metrics = {f"{self.name}/loss": Mean(loss), f"{self.name}/gradient_norm": Mean(norm), **self._rates}
        if self._counts_skipped:
            own[f"{self.name}/skipped_updates"] = Sum(0.0)
        return of_loss | own

    def _refuse(self, now: Counters, loss: Number, norms: Measures) -> Metrics:
        """Stops, or skips the update: by choice, or because fp16 overflowed and a smaller loss scale may do."""
        self._scaler.update()
        overflowed = self._scaler.is_enabled() and math.isfinite(loss) and self._scaler.get_scale() >= 1.0
        if overflowed or self.config.on_non_finite == "skip":
            # Only the count: the loss and the norm are not finite and would spoil the means they are logged in.
            return {f"{self.name}/skipped_updates": Sum(1.0)}
        raise NonFinite(now.updates + 1, describe(float(loss), [norm.item() for norm in norms], list(self.trainable)))

    def _group_parameters(self) -> None:
        """Adam's are updated where torch's optimizers hold them now, the others by torch's own `step`."""
        position = {id(leaf): index for index, leaf in enumerate(self._leaves)}
        adams = [o for o in self._optimizers if isinstance(o, torch.optim.Adam)]  # of which AdamW is one
        self._other_optimizers = [o for o in self._optimizers if o not in adams]
        self._adam_groups = [
            AdamGroup(options, adam, [position[id(leaf)] for leaf in options["params"]])
            for adam in adams
            for options in adam.param_groups
        ]

    def _set_learning_rates(self, now: Counters) -> None:
        if now is self._scheduled_for:
            return
        groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
        several = len({group["pattern"] for group in groups}) > 1
        for group in groups:
            group["lr"] = group["base_rate"] * group["schedule"].multiplier(now, self.until)
            key = f"{self.name}/learning_rate" + (f"/{group['pattern']}" if several else "")
            self._rates[key] = Last(group["lr"])
        self._scheduled_for = now

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the parameters hold their averages; afterwards their own values, to the bit. No averages: no change.

        The average starts as the initial parameters and moves after every update: `a += (1 - ema_decay) * (p - a)`.
        """
        if not self._averages:
            yield
            return
        own = [leaf.detach().clone() for leaf in self._leaves]
        with torch.no_grad():
            torch._foreach_copy_(self._leaves, self._averages)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._leaves, own)

    def state_dict(self) -> State:
        """Moments, averages and loss scale by parameter name, as references; not the parameters. Raises NonFinite."""
        if self._deferred is not None:
            self._deferred.check()
        return {
            "moments": moments_of(self._optimizers),
            "averages": dict(zip(self.trainable, self._averages, strict=True)) if self._averages else {},
            "loss_scale": self._scaler.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Continues from a copy of `state`. Raises UserError, naming the first thing in it that does not fit."""
        averages = state["averages"]
        check_moments(f"{self.name}.moments", state["moments"], self._optimizers, self.trainable)
        check_names(f"{self.name}.averages", averages, self.trainable if self._averages else {})
        for key, value in averages.items():
            check_shape(f"{self.name}.averages of {key!r}", value, self.trainable[key])
        if bool(state["loss_scale"]) != self._scaler.is_enabled():
            raise UserError(f"{self.name}.precision = {self.config.precision!r}: the saved state has another precision")

        load_moments(state["moments"], self._optimizers)
        self._group_parameters()
        if self._averages:
            torch._foreach_copy_(self._averages, [averages[key] for key in self.trainable])
        self._scaler.load_state_dict(state["loss_scale"])


def check_coverage(module: nn.Module, optimizers: Sequence[Optimizer]) -> None:
    """Raises UserError, naming the parameter, unless each one of `module` belongs to exactly one of the optimizers."""
    for key, parameter in module.named_parameters():
        owners = [o.name for o in optimizers if any(parameter is own for own in o.parameters.values())]
        if len(owners) != 1:
            raise UserError(
                f"parameter {key!r} belongs to {' and '.join(owners) or 'no optimizer'}: it takes exactly one"
            )
