"""What an optimizer is made of: its config, the rules by parameter name, and torch's optimizers built from them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from torch import nn

from training.errors import UserError, require
from training.optimizer.schedules import Schedule

C = TypeVar("C")
OptimizerKind = Literal["adam", "adamw", "sgd", "rmsprop", "muon"]


def _without_compiler(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """The same optimizer. Torch's own imports the whole compiler when it is made, only to tell it to stay away: that
    takes longer than all else before the first update.
    """
    names = ("add_param_group", "state_dict", "load_state_dict")
    return type(kind.__name__, (kind,), {name: inspect.unwrap(getattr(kind, name)) for name in names})


_KINDS: dict[OptimizerKind, Callable[..., torch.optim.Optimizer]] = {
    "adam": partial(_without_compiler(torch.optim.Adam), fused=True),
    "adamw": partial(_without_compiler(torch.optim.AdamW), fused=True),
    "sgd": partial(_without_compiler(torch.optim.SGD), fused=True),
    "rmsprop": partial(_without_compiler(torch.optim.RMSprop), foreach=True),
    "muon": _without_compiler(torch.optim.Muon),
}
COMPILABLE: tuple[OptimizerKind, ...] = ("adam", "adamw")

_TAKES: dict[OptimizerKind, tuple[str, ...]] = {
    "adam": ("betas", "eps"),
    "adamw": ("betas", "eps"),
    "sgd": ("momentum",),
    "rmsprop": ("alpha", "eps", "momentum"),
    "muon": ("momentum",),
}

NO_LAYER = ("*bias*", "*norms.*", "*std", "*std.*", "*temperature*", "*position*", "*centres*")
"""Names of parameters that are no weights of layers, whatever their dimensions: nothing pulls them towards 0."""


@dataclass(frozen=True)
class Rule:
    """What is different for the parameters whose names match `pattern` (`*`, `?`, `[...]`). None: as in the config."""

    pattern: str
    kind: OptimizerKind | None = None
    learning_rate: float | None = None
    schedule: Schedule | None = None
    weight_decay: float | None = None
    """Of all that match; None: the config's, which is for the weights of layers alone."""
    frozen: bool = False

    def __post_init__(self) -> None:
        rate, decay = self.learning_rate, self.weight_decay
        require(rate is None or 0.0 < rate < math.inf, "learning_rate", rate, "a finite number above 0")
        require(decay is None or 0.0 <= decay < math.inf, "weight_decay", decay, "a finite number of at least 0")


@dataclass(frozen=True)
class OptimizerConfig:
    """How parameters are updated. `betas`, `eps`, `momentum` and `alpha` are torch's own defaults when None."""

    kind: OptimizerKind = "adam"
    learning_rate: float = 3e-4
    schedule: Schedule = field(default_factory=Schedule)
    weight_decay: float = 0.0
    """Of the weights of layers, not of biases, norms, deviations and temperatures (see `is_decayed`). adamw, muon:
    decoupled from the gradient; the others: an L2 penalty."""
    betas: tuple[float, float] | None = None
    """For adam and adamw."""
    eps: float | None = None
    """For adam, adamw and rmsprop."""
    momentum: float | None = None
    """For sgd, rmsprop and muon."""
    alpha: float | None = None
    """For rmsprop: the decay of the mean square."""
    max_grad_norm: float | None = None
    """Of all trainable parameters together; None: no clipping."""
    micro_batches: int = 1
    """Parts of a batch whose gradients are accumulated."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    """Of the forward pass (autocast)."""
    on_non_finite: Literal["stop", "skip"] = "stop"
    ema_decay: float | None = None
    """Of the averaged parameters; None: no averaging."""
    compile: bool = False
    """Loss, gradient, clipping and update as one compiled function. An experiment's own `compile` sets it."""
    rules: tuple[Rule, ...] = ()
    """The first match wins; together they cover every parameter; (): all as above."""

    def __post_init__(self) -> None:
        rate, decay, clip = self.learning_rate, self.weight_decay, self.max_grad_norm
        require(0.0 < rate < math.inf, "learning_rate", rate, "a finite number above 0")
        require(0.0 <= decay < math.inf, "weight_decay", decay, "a finite number of at least 0")
        require(clip is None or clip > 0.0, "max_grad_norm", clip, "a number above 0, or None")
        require(self.micro_batches >= 1, "micro_batches", self.micro_batches, "at least 1")
        require(self.eps is None or self.eps > 0.0, "eps", self.eps, "a number above 0, or None")
        betas = self.betas
        require(betas is None or all(0.0 <= b < 1.0 for b in betas), "betas", betas, "two numbers in [0, 1)")
        for key in ("momentum", "alpha", "ema_decay"):
            value = getattr(self, key)
            require(value is None or 0.0 <= value < 1.0, key, value, "a number in [0, 1), or None")
        kinds = self._kinds
        for key in ("betas", "eps", "momentum", "alpha"):
            used = getattr(self, key) is None or any(key in _TAKES[kind] for kind in kinds)
            require(used, key, getattr(self, key), f"None: {' and '.join(kinds)} does not use it")
        takes = f"kinds {' and '.join(COMPILABLE)}, one micro-batch and no fp16"
        require(self.can_compile or not self.compile, "compile", self.compile, takes)

    @property
    def can_compile(self) -> bool:
        """Whether its updates are of a kind that can be one compiled function."""
        return set(self._kinds) <= set(COMPILABLE) and self.micro_batches == 1 and self.precision != "fp16"

    @property
    def _kinds(self) -> list[OptimizerKind]:
        """Those that train anything, one for each rule."""
        return [rule.kind or self.kind for rule in self.rules if not rule.frozen] or [self.kind]


def all_can_compile(config: Any) -> bool:
    """Whether an algorithm's loss, unless its config has `can_compile = False`, and all its optimizers can be."""
    return getattr(config, "can_compile", True) and all(
        optimizer.can_compile for optimizer in optimizers_of(config).values()
    )


def with_compile(config: C, compiles: bool) -> C:
    """An algorithm's config with all its optimizers compiled or none. Raises UserError for one that cannot be."""
    changed = {name: replace(optimizer, compile=compiles) for name, optimizer in optimizers_of(config).items()}
    return replace(config, **changed)  # type: ignore[type-var]


def optimizers_of(config: Any) -> dict[str, OptimizerConfig]:
    """The optimizers in an algorithm's config, by the names of their fields."""
    values = {part.name: getattr(config, part.name) for part in fields(config)}
    return {name: value for name, value in values.items() if isinstance(value, OptimizerConfig)}


def is_decayed(name: str, parameter: nn.Parameter) -> bool:
    """Whether the config's weight decay is for this parameter: one of two or more dimensions that belongs to a layer.

    A bias, a norm's scale or a standard deviation has no size that would have to be small (Radford et al. 2018,
    "Improving language understanding by generative pre-training", section 4.1).
    """
    return parameter.dim() >= 2 and not any(fnmatchcase(name, pattern) for pattern in NO_LAYER)


def assign_rules(parameters: Mapping[str, nn.Parameter], config: OptimizerConfig, name: str) -> dict[str, Rule]:
    """The rule of each parameter, its empty fields filled from `config`; the first rule that matches wins.

    Where the config's weight decay is not for a parameter, its rule has none.

    Raises UserError, naming the pattern or the parameter, when a rule gets no parameter, when no rule covers a
    parameter, and when muon would get something that is not a matrix.
    """
    rules = config.rules or (Rule("*"),)
    assigned: dict[str, Rule] = {}
    for key, parameter in parameters.items():
        rule = next((rule for rule in rules if fnmatchcase(key, rule.pattern)), None)
        if rule is None:
            raise UserError(
                f"{name}.rules: no pattern matches parameter {key!r}; add a rule for it, or a last rule '*'"
            )
        assigned[key] = _filled(rule, config, config.weight_decay if is_decayed(key, parameter) else 0.0)
    used = {rule.pattern for rule in assigned.values()}
    for rule in rules:
        if rule.pattern not in used:
            matches = any(fnmatchcase(key, rule.pattern) for key in parameters)
            why = "only matches what earlier rules took" if matches else f"matches none of {', '.join(parameters)}"
            raise UserError(f"{name}.rules: pattern {rule.pattern!r} {why}")
    for key, rule in assigned.items():
        shape = list(parameters[key].shape)
        if rule.kind == "muon" and not rule.frozen and len(shape) != 2:
            raise UserError(f"{name}: parameter {key!r} of shape {shape} cannot have kind 'muon', which takes matrices")
    return assigned


def build_optimizers(
    parameters: Mapping[str, nn.Parameter], rules: Mapping[str, Rule], config: OptimizerConfig
) -> list[torch.optim.Optimizer]:
    """One torch optimizer for each kind, with one parameter group for each rule and weight decay.

    Besides torch's own keys a group has `pattern`, `kind`, `base_rate` and `schedule`.
    """
    groups: dict[tuple[str, float | None], dict[str, Any]] = {}
    for key, parameter in parameters.items():
        rule = rules[key]
        own = {"pattern": rule.pattern, "kind": rule.kind, "base_rate": rule.learning_rate, "schedule": rule.schedule}
        group = groups.setdefault(
            (rule.pattern, rule.weight_decay), {"params": [], "weight_decay": rule.weight_decay, **own}
        )
        group["params"].append((key, parameter))
    kinds: dict[OptimizerKind, list[dict[str, Any]]] = {}
    for group in groups.values():
        kinds.setdefault(group["kind"], []).append(group)
    optimizers = []
    for kind, of_kind in kinds.items():
        options = {key: getattr(config, key) for key in _TAKES[kind] if getattr(config, key) is not None}
        optimizers.append(_KINDS[kind](of_kind, **options))
    return optimizers


def _filled(rule: Rule, config: OptimizerConfig, weight_decay: float) -> Rule:
    return replace(
        rule,
        kind=rule.kind or config.kind,
        learning_rate=config.learning_rate if rule.learning_rate is None else rule.learning_rate,
        schedule=rule.schedule or config.schedule,
        weight_decay=weight_decay if rule.weight_decay is None else rule.weight_decay,
    )
