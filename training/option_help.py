"""What the options of a config are, for a person: what each takes, its default, and its field's docstring."""

from __future__ import annotations

import ast
import inspect
import json
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from functools import cache
from operator import attrgetter
from typing import Any, Literal, get_args, get_origin

from training.familiar import spelled
from training.options import field_types, members

WIDEST = 100
"""Columns of a help text, where the terminal has as many."""
PLAIN: Mapping[Any, str] = {int: "INT", float: "NUMBER", str: "TEXT", bool: "true|false", type(None): "none"}


@dataclass(frozen=True)
class Option:
    """One option: its dotted key, what it takes, its default and what it is."""

    key: str
    takes: str
    default: str
    told: str


def options_of(config: Any) -> list[Option]:
    """All options of a config, in the order of its fields."""
    told = _told(config)
    return [
        Option(key, takes(kind), _shown(attrgetter(key)(config)), told.get(key, ""))
        for key, kind in field_types(config).items()
    ]


def help_text(program: str, description: str, options: Sequence[Option], more: str = "") -> str:
    """A page: the options in groups by what stands before their last word, each with its default and docstring."""
    width = min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)
    lines = [f"usage: {program} [options]", "", *textwrap.wrap(description, width)]
    groups: dict[str, list[Option]] = {}
    for option in options:
        groups.setdefault(option.key.rpartition(".")[0], []).append(option)
    for name, group in groups.items():
        lines += ["", f"{name} options:" if name else "options:"]
        for option in group:
            lines.append(f"  {spelled(option.key)} {option.takes}")
            words = f"{option.told} (default: {option.default})".strip()
            lines += textwrap.wrap(words, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join([*lines, *(["", *textwrap.wrap(more, width)] if more else [])])


def show_help(program: str, description: str, *configs: Any) -> None:
    """Prints every option of the configs with its default and its field's docstring."""
    print(help_text(program, description, [option for config in configs for option in options_of(config)]))


def takes(kind: Any) -> str:
    """What a field of this type takes, in a few letters."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "|".join(map(str, inner))
    if origin in (tuple, list):
        return f"{takes(inner[0])} ..." if inner else "JSON"
    parts = members(kind)
    return "|".join(map(takes, parts)) if len(parts) > 1 else "JSON"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value or "''"
    if isinstance(value, tuple) and all(isinstance(part, int | float | str) for part in value):
        return " ".join(map(str, value)) or "[]"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else repr(value)


def _told(config: Any, prefix: str = "") -> dict[str, str]:
    """The docstring of every field, by dotted key: that of the class, or of one that it inherits from."""
    found: dict[str, str] = {}
    for kind in reversed(type(config).__mro__):
        found |= {prefix + name: told for name, told in _told_in(kind).items()}
    for key in list(vars(config)):
        value = getattr(config, key)
        if is_dataclass(value):
            found |= _told(value, f"{prefix}{key}.")
    return found


@cache
def _told_in(kind: type) -> dict[str, str]:
    """The texts below the fields of one class. One whose source cannot be read has none."""
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except (OSError, TypeError, SyntaxError):
        return {}
    body: Iterable[ast.stmt] = getattr(tree, "body", ())
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in zip(body, list(body)[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


MAIN = frozenset(
    [
        *(
            "run_dir",
            "tracker",
            "preset",
            "config",
            "set_from",
            "seeds",
            "resume",
            "seed",
            "device",
            "env_steps",
            "epochs",
        ),
        *("steps", "num_envs", "env.id", "env.time_limit", "dataset", "minibatch_size", "agent.minibatch_size"),
        *("agent.horizon", "agent.gamma", "replay.capacity", "replay.minibatch_size", "policy.network.hidden"),
        *("evaluation.episodes", "evaluation.every.count", "evaluation.final_episodes"),
    ]
)
MAIN_ENDS = ("optimizer.learning_rate", "model.network.hidden")


def main_options(options: Sequence[Option]) -> list[Option]:
    """What people change: the budget, seed, environment, step size, network and how it is measured."""
    return [option for option in options if option.key in MAIN or option.key.endswith(MAIN_ENDS)]
