"""Our Python files, read without being imported: their docstrings, what they import, their configs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple


class ConfigField(NamedTuple):
    """One option of a config, as its source writes it."""

    name: str
    type: str
    default: str
    """Empty where it must be given."""
    doc: str


@dataclass(frozen=True)
class Source:
    """One file; `path` is relative to `root`."""

    root: Path
    path: Path

    @property
    def module(self) -> str:
        """Its dotted name."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def tree(self) -> ast.Module:
        """The file as a syntax tree."""
        return _parsed(self.root / self.path)[1]

    @property
    def doc(self) -> str:
        """The docstring of the module."""
        return ast.get_docstring(self.tree) or ""

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """The classes at the top of the file."""
        return {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        """The functions at the top of the file."""
        return {node.name: node for node in self.tree.body if isinstance(node, ast.FunctionDef)}

    @cached_property
    def imported(self) -> dict[str, str]:
        """What each name that is imported stands for: `PPO` -> `agents.ppo.PPO`."""
        return {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }

    def imports(self, module: str) -> bool:
        """Whether the module, or something in it, is imported."""
        return any(name == module or name.startswith(f"{module}.") for name in self.imported.values())

    def assigns(self, name: str) -> bool:
        """Whether the file gives a value to the name, at its top."""
        targets = [target for node in self.tree.body if isinstance(node, ast.Assign) for target in node.targets]
        targets += [node.target for node in self.tree.body if isinstance(node, ast.AnnAssign) and node.value]
        return any(isinstance(target, ast.Name) and target.id == name for target in targets)

    def segment(self, node: ast.expr) -> str:
        """What the node is in the file, on one line."""
        lines = _parsed(self.root / self.path)[0][node.lineno - 1 : node.end_lineno]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        words = " ".join(b" ".join(lines).decode().split())
        return words.replace("( ", "(").replace(", )", ")").replace(" )", ")")


@cache
def _parsed(file: Path) -> tuple[list[bytes], ast.Module]:
    """The lines and the tree, made once: a config that others inherit from is looked up many times."""
    content = file.read_bytes()
    return content.split(b"\n"), ast.parse(content)


def read_sources(root: Path, folder: str) -> list[Source]:
    """The files of a folder, not of the folders in it, by name."""
    return [Source(root, file.relative_to(root)) for file in sorted((root / folder).glob("*.py"))]


def lineage(source: Source, name: str) -> Iterator[tuple[Source, ast.ClassDef]]:
    """A class and those of ours that it inherits from, the class itself last."""
    if name not in source.classes:
        home, _, own = source.imported.get(name, "").rpartition(".")
        file = source.root / f"{home.replace('.', '/')}.py"
        if not home or not file.is_file():
            return
        source, name = Source(source.root, file.relative_to(source.root)), own
        if name not in source.classes:
            yield from lineage(source, name)  # a module that only hands it on
            return
    node = source.classes[name]
    for base in node.bases:
        if isinstance(base, ast.Name):
            yield from lineage(source, base.id)
        elif isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):
            yield from _in_module(source, base.value.id, base.attr)
    yield source, node


def _in_module(source: Source, module: str, name: str) -> Iterator[tuple[Source, ast.ClassDef]]:
    """The lineage of `module.name`, where `module` was imported."""
    file = source.root / f"{source.imported.get(module, module).replace('.', '/')}.py"
    if file.is_file():
        yield from lineage(Source(source.root, file.relative_to(source.root)), name)


def config_fields(source: Source, name: str) -> list[ConfigField]:
    """The options of a config: those that it inherits from ours first, then its own.

    The config of a whole run has its own alone: what runs share is told once.
    """
    classes = list(lineage(source, name))
    if any(node.name == "RunConfig" for _, node in classes):
        classes = classes[-1:]
    found: dict[str, ConfigField] = {}
    for where, node in classes:
        for field in _own_fields(where, node):
            inherited = found.get(field.name)
            found[field.name] = field._replace(doc=field.doc or inherited.doc) if inherited else field
    return list(found.values())


def _own_fields(source: Source, node: ast.ClassDef) -> Iterator[ConfigField]:
    for index, statement in enumerate(node.body):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        kind = source.segment(statement.annotation)
        if kind.startswith("ClassVar"):
            continue
        after = node.body[index + 1] if index + 1 < len(node.body) else None
        told = after.value if isinstance(after, ast.Expr) else None
        doc = told.value if isinstance(told, ast.Constant) and isinstance(told.value, str) else ""
        default = _default(source, statement.value) if statement.value else ""
        yield ConfigField(statement.target.id, kind, default, " ".join(doc.split()))


def _default(source: Source, value: ast.expr) -> str:
    """The value, or what a `field(default_factory=...)` makes."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "field":
        for keyword in value.keywords:
            if keyword.arg == "default_factory":
                made = keyword.value
                called = source.segment(made.body if isinstance(made, ast.Lambda) else made)
                return {"dict": "{}", "list": "[]"}.get(called, called)
    return source.segment(value)
