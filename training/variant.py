"""An experiment as a variant of another, written as a script that a person reads and changes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from training.claims import Claim
from training.config import field_types, members
from training.core import UserError

Tree: TypeAlias = "dict[str, Any]"

SCRIPT = '''\
"""{summary}"""

from __future__ import annotations

{imports}
from {package} import {base}
from training.claims import Claim
from training.run import Run

BASE = {base}.Config()


@dataclass(frozen=True, kw_only=True)
class Config({base}.Config):
    """{found}"""

{fields}


CLAIMS = ({claim},)


def train(config: Config, run: Run) -> None:
    """As there."""
    {base}.train(config, run)
'''


def write_variant(
    package: str,
    base: str,
    config: Any,
    changes: Mapping[str, Any],
    *,
    claim: Claim,
    summary: str,
    found: Sequence[str],
) -> str:
    """The text of the script.

    Args:
        package: where the experiments are.
        base: the experiment that it is a variant of.
        config: that one's default config.
        changes: by dotted key, what is different.
        claim: what the variant says it reaches.
        summary: the module's docstring, one line.
        found: the lines of the config's docstring.

    Raises:
        UserError: a value that cannot be written as plain Python.
    """
    tree: Tree = {}
    for key, value in changes.items():
        *path, name = key.split(".")
        place = tree
        for head in path:
            place = place.setdefault(head, {})
        place[name] = _Leaf(key, value)
    types = field_types(config)
    imports: dict[str, set[str]] = {"dataclasses": {"dataclass"}}
    fields = []
    for name, inner in tree.items():
        value = getattr(config, name)
        if isinstance(inner, dict):
            imports["dataclasses"].add("replace")
            imports.setdefault(type(value).__module__, set()).add(type(value).__name__)
            kind = type(value).__name__
        else:
            kind = _annotation(types[name], inner.value)
        fields.append(f"    {name}: {kind} = {_written(inner, f'BASE.{name}', 1)}")
    standard = [_import(module, names) for module, names in imports.items() if module == "dataclasses"]
    own = sorted(_import(module, names) for module, names in imports.items() if module != "dataclasses")
    text = SCRIPT.format(
        summary=summary,
        package=package,
        base=base,
        found="\n    ".join([*found, ""] if len(found) > 1 else found),
        imports="\n".join([*standard, "", *own] if own else [*standard, ""]),
        fields="\n".join(fields),
        claim=_claim(claim),
    )
    return _sorted_imports(text)


class _Leaf:
    def __init__(self, key: str, value: Any) -> None:
        self.key, self.value = key, value


def _written(inner: Tree | _Leaf, base: str, depth: int) -> str:
    """An expression; a dataclass is the base's with some fields replaced, one a line."""
    if isinstance(inner, _Leaf):
        return _literal(inner.key, inner.value)
    indent = "    " * (depth + 1)
    lines = [f"{indent}{base},"]
    lines += [f"{indent}{name}={_written(value, f'{base}.{name}', depth + 1)}," for name, value in inner.items()]
    return "\n".join(["replace(", *lines, "    " * depth + ")"])


def _literal(key: str, value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        inner = ", ".join(_literal(key, one) for one in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    raise UserError(f"{key} = {value!r} cannot be written into a script: search numbers, strings, tuples or None")


def _annotation(kind: Any, value: Any) -> str:
    """The field's type where its name needs no import, otherwise that of the value."""
    plain = all(member in (bool, int, float, str, type(None)) for member in members(kind))
    if plain:
        return " | ".join("None" if member is type(None) else member.__name__ for member in members(kind))
    return f"tuple[{type(value[0]).__name__}, ...]" if isinstance(value, tuple) else type(value).__name__


def _claim(claim: Claim) -> str:
    return f'Claim("{claim.metric}", "{claim.op}", baseline="{claim.baseline}")'


def _import(module: str, names: set[str]) -> str:
    return f"from {module} import {', '.join(sorted(names))}"


def _sorted_imports(text: str) -> str:
    """The platform's imports in one block, in alphabetical order."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("from dataclasses"))
    end = next(number for number, line in enumerate(lines) if line.startswith("BASE"))
    standard, *own = [line for line in lines[start:end] if line]
    ordered = sorted(own, key=lambda line: line.split()[1])
    return "\n".join([*lines[:start], standard, "", *ordered, "", *lines[end:]]) + "\n"
