"""Every algorithm and its family, found in the code: no list of them is kept by hand.

An algorithm is a file of agents/, agents/libraries/, pretraining/, finetuning/ or regimes/ with a class that has
`update`, or with a `train` that puts such a class to another use. Its family is the folder, and in agents/ the recipe
that trains it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.sources import Source, config_fields, read_sources
from training.errors import UserError

FOLDERS = {
    "agents": None,
    "agents/libraries": "libraries",
    "pretraining": "from_data",
    "finetuning": "fine_tuning",
    "regimes": "regimes",
}
"""Where algorithms are, and the family of those that are there; None: their recipe says it."""
RECIPES = "agents.recipes"


@dataclass(frozen=True)
class Algorithm:
    """One algorithm."""

    source: Source
    name: str
    learns: str
    """The first line of its class."""
    policy: str
    """The class of the policy that it trains; empty where none is named."""
    configs: tuple[str, ...]
    family: str
    experiments: tuple[str, ...]
    """The experiments that use it, in alphabetical order."""
    presets: tuple[str, ...] = ()
    """The modules with its defaults for kinds of environments."""


def find_algorithms(root: Path) -> list[Algorithm]:
    """All of them, by family and name.

    Raises UserError for an algorithm of agents/ that no experiment trains: then nothing says how it learns.
    """
    scripts = [Source(root, file.relative_to(root)) for file in sorted((root / "experiments").rglob("*.py"))]
    scripts = [script for script in scripts if script.assigns("CLAIMS")]
    trained = _trained(scripts, read_sources(root, "agents/recipes"))
    found = [
        _algorithm(source, family, scripts, trained)
        for folder, family in FOLDERS.items()
        for source in read_sources(root, folder)
        if source.path.stem != "recipe" and (_class(source) or _trains(source))
    ]
    return sorted(found, key=lambda algorithm: (algorithm.family, algorithm.name.lower()))


def _algorithm(source: Source, family: str | None, scripts: Sequence[Source], trained: Mapping[str, str]) -> Algorithm:
    node = _class(source)
    name = node.name.removesuffix("Agent") if node else source.path.stem.replace("_", " ").capitalize()
    policy = _annotation(node, "policy") if node else ""
    return Algorithm(
        source=source,
        name=name,
        learns=(ast.get_docstring(node) or "").partition("\n")[0] if node else "",
        policy=policy,
        configs=tuple(name for name in source.classes if name.endswith("Config")),
        family=family or _family(source, node, policy, trained),
        experiments=tuple(sorted(script.path.stem for script in scripts if script.imports(source.module))),
        presets=tuple(
            script.module for script in scripts if script.assigns("PRESETS") and script.imports(source.module)
        ),
    )


def _class(source: Source) -> ast.ClassDef | None:
    """The class with `update(self, batch, now)`."""
    for node in source.classes.values():
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and method.name == "update" and _takes(method, "batch", "now"):
                return node
    return None


def _trains(source: Source) -> bool:
    """Whether the file has `train(config, run, ...)`."""
    train = source.functions.get("train")
    return train is not None and _takes(train, "config", "run")


def _takes(function: ast.FunctionDef, *names: str) -> bool:
    return set(names) <= {argument.arg for argument in function.args.args}


def _annotation(node: ast.ClassDef, argument: str) -> str:
    """The type of an argument, in the first method of the class that has one of this name."""
    for part in ast.walk(node):
        if isinstance(part, ast.arg) and part.arg == argument and part.annotation:
            return ast.unparse(part.annotation)
    return ""


def _family(source: Source, node: ast.ClassDef | None, policy: str, trained: Mapping[str, str]) -> str:
    recipe = trained.get(f"{source.module}.{node.name}") if node else None
    if recipe is None:
        raise UserError(f"{source.path} has no family: no recipe of {RECIPES} and no experiment trains it")
    if any(field.name == "max_policy_lag" for name in source.classes for field in config_fields(source, name)):
        return "asynchronous"
    if recipe == "off_policy":
        return f"{recipe}_values" if policy == "QNetwork" else f"{recipe}_actor_critics"
    return "offline" if recipe.startswith("offline") else recipe


def _trained(scripts: Sequence[Source], recipes: Sequence[Source]) -> dict[str, str]:
    """By the dotted name of a class, the recipe that trains it.

    That is the one to which an experiment gives the class, `on_policy.train(config, run, PPO)`, or the one that names
    it itself; then what this recipe is built on, if that is learning from a dataset.
    """
    found: dict[str, str] = {}
    for source in recipes:
        on_data = any(name.startswith(f"{RECIPES}.offline") for name in source.imported.values())
        found |= dict.fromkeys(source.imported.values(), "offline" if on_data else source.path.stem)
    for script in scripts:
        for call in ast.walk(script.tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "train":
                called = script.imported.get(ast.unparse(call.func.value), "")
                if called.startswith(f"{RECIPES}."):
                    given = [argument.id for argument in call.args if isinstance(argument, ast.Name)]
                    recipe = called.rpartition(".")[2]
                    found |= {script.imported[name]: recipe for name in given if name in script.imported}
    return found
