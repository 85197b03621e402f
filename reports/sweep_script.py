"""An experiment as a variant of another, written as a script that a person reads and changes."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

from training.claims import Claim
from training.errors import UserError
from training.options import field_types, members

Tree: TypeAlias = "dict[str, Any]"

SCRIPT = '''\
"""`{base}` with what a search found."""

from __future__ import annotations

from dataclasses import {dataclasses}

{imports}

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


def variant_script(
    package: str, base: str, config: Any, changes: Mapping[str, Any], *, claim: Claim, found: str
) -> str:
    """The text of the script.

    Args:
        package: where the experiments are.
        base: the experiment that it is a variant of.
        config: that one's default config.
        changes: by dotted key, what is different.
        claim: what the variant says it reaches.
        found: how it was found.

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
    dataclasses = {"dataclass"}
    imports: dict[str, set[str]] = {package: {base}, "training.claims": {"Claim"}, "training.run.run": {"Run"}}
    fields = []
    for name, inner in tree.items():
        value = getattr(config, name)
        if isinstance(inner, dict):
            dataclasses.add("replace")
            imports.setdefault(type(value).__module__, set()).add(type(value).__name__)
            kind = type(value).__name__
        else:
            kind = _annotation(types[name], inner.value)
        fields.append(f"    {name}: {kind} = {_written(inner, f'BASE.{name}', 1)}")
    told = textwrap.wrap(found, 110, break_long_words=False, break_on_hyphens=False)
    return SCRIPT.format(
        base=base,
        found="\n    ".join([*told, ""] if len(told) > 1 else told),
        dataclasses=_listed(dataclasses),
        imports="\n".join(f"from {module} import {_listed(names)}" for module, names in sorted(imports.items())),
        fields="\n".join(fields),
        claim=_claim(claim),
    )


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
    default = Claim(claim.metric, claim.op, baseline=claim.baseline)
    changes = {name: value for name, value in asdict(claim).items() if value != getattr(default, name)}
    more = "".join(f", {name}={json.dumps(value)}" for name, value in changes.items())
    return f'Claim("{claim.metric}", "{claim.op}", baseline="{claim.baseline}"{more})'


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))
