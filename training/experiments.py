"""Experiments by their names: scripts of a package that say `CLAIMS = ...`, found without being imported."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from training.errors import UserError


def find_experiments(package: str) -> dict[str, Path]:
    """The script of every experiment in a package and its folders, by name, in the order of the names.

    Raises UserError where two scripts have one name.
    """
    found: dict[str, Path] = {}
    for file in sorted(folder_of(package).rglob("*.py"), key=lambda path: path.stem):
        if "CLAIMS" in _assigned(_parsed(file)):
            if file.stem in found:
                raise UserError(f"two experiments are called {file.stem}: {found[file.stem]} and {file}")
            found[file.stem] = file
    return found


def first_line(script: Path) -> str:
    """What a script says it is."""
    return (ast.get_docstring(_parsed(script)) or "").partition("\n")[0]


def load_experiment(name: str, package: str) -> ModuleType:
    """The module of an experiment; raises UserError when there is none of this name."""
    from training.options import nearest

    known = find_experiments(package)
    if name not in known:
        raise UserError(f"unknown experiment {name}: {nearest(name, known)}")
    inside = known[name].relative_to(folder_of(package)).with_suffix("")
    return importlib.import_module(".".join((package, *inside.parts)))


def folder_of(package: str) -> Path:
    """Where a package is."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _assigned(tree: ast.Module) -> Iterator[str]:
    """The names that a module gives values to."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))
