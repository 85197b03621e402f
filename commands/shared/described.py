"""What the options of an experiment are, kept from one call to the next.

Its config is known once its algorithm is imported, and torch with it, which takes longer than anybody waits for a page
of help or for a misspelled option. So what was found is kept as JSON among the user's caches, with the files that it
came from: when one of them changes, it is found anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Union, get_args, get_origin

from training.experiments import folders_of, load_experiment
from training.option_help import Option, options_of
from training.options import field_types, members
from training.user_cache import user_cache

PLAIN: Mapping[str, Any] = {"int": int, "float": float, "str": str, "bool": bool, "none": type(None)}


@dataclass(frozen=True)
class Described:
    """An experiment: its docstring, its options, and the types of those whose values can be checked by these alone."""

    doc: str
    options: list[Option]
    types: dict[str, Any]


def describe(name: str, package: str) -> Described:
    """What is kept of an experiment, or what importing it shows. Raises UserError when there is none of this name."""
    return kept(name, package) or keep(load_experiment(name, package), name, package)


def kept(name: str, package: str) -> Described | None:
    """What an earlier call kept, unless a file has changed since."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(_file(name, package).read_text(encoding="utf-8"))
        if all(_stamp(file) == stamp for file, stamp in content["files"].items()):
            options = [Option(**option) for option in content["options"]]
            return Described(content["doc"], options, {key: _type(kind) for key, kind in content["types"].items()})
    return None


def keep(experiment: ModuleType, name: str, package: str) -> Described:
    """Describes an experiment that was imported, and keeps it where that is possible."""
    config = experiment.Config()
    types = {key: _encoded(kind) for key, kind in field_types(config).items()}
    options = options_of(config)
    doc = experiment.__doc__ or ""
    content = {
        "files": {file: _stamp(file) for file in _files()},
        "doc": doc,
        "options": [asdict(option) for option in options],
        "types": types,
    }
    with suppress(OSError):  # a file system that cannot be written
        file = _file(name, package)
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(content), encoding="utf-8")
        os.replace(unfinished, file)
    return Described(doc, options, {key: _type(kind) for key, kind in types.items()})


def _file(name: str, package: str) -> Path:
    where = hashlib.sha256(str(folders_of(package)).encode()).hexdigest()[:16]
    return user_cache("options", where, f"{name}.json")


def _files() -> list[str]:
    """The files of everything that is imported now and is not installed: what a change of may change a config."""
    installed = tuple({path for name, path in sysconfig.get_paths().items() if name.endswith(("stdlib", "lib"))})
    found = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    ours = (file for file in found if file and file.endswith(".py") and not file.startswith(installed))
    return sorted(file for file in map(os.path.abspath, ours) if os.path.isfile(file))  # some name a file that is not


def _stamp(file: str) -> list[int]:
    status = os.stat(file)
    return [status.st_mtime_ns, status.st_size]


def _encoded(kind: Any) -> Any:
    """A type as JSON: of those that are not plain, what can be checked of them is nothing."""
    for name, plain in PLAIN.items():
        if kind is plain:
            return name
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"literal": list(inner)}
    if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        return {"tuple": _encoded(inner[0])}
    parts = members(kind)
    return {"union": [_encoded(part) for part in parts]} if len(parts) > 1 else "any"


def _type(encoded: Any) -> Any:
    if isinstance(encoded, str):
        return PLAIN.get(encoded, Any)
    ((what, inner),) = encoded.items()
    if what == "literal":
        return Literal[tuple(inner)]
    if what == "tuple":
        return tuple.__class_getitem__((_type(inner), ...))  # of a type that is known only now
    return Union[tuple(map(_type, inner))]  # noqa: UP007 - of types that are known only now


def require_known(words: Sequence[tuple[str, list[str]]], types: Mapping[str, Any]) -> None:
    """Raises UserError for a value that an option does not take, as far as its type tells."""
    from training.options import read_values

    for name, tokens in words:
        if name in types and not _is_free(types[name]) and not any("," in token for token in tokens):
            read_values([f"--{name}", *tokens] if len(tokens) != 1 else [f"--{name}={tokens[0]}"], {name: types[name]})


def _is_free(kind: Any) -> bool:
    return kind is Any or any(map(_is_free, get_args(kind)))
