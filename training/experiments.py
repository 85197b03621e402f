"""Experiments by their names: scripts in a package that assign `CLAIMS`, found without being imported.

The commands of the command line are found in the same way, by another constant.
"""

from __future__ import annotations

import ast
import importlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from training.errors import UserError

if TYPE_CHECKING:
    from training.claims import Claims


def find_experiments(package: str) -> dict[str, Path]:
    """The script of every experiment in a package and its folders, by name, in the order of the names.

    Raises UserError where two scripts have one name.
    """
    return find_scripts(package, "CLAIMS")


def find_scripts(package: str, constant: str) -> dict[str, Path]:
    """The scripts in a package and its folders that give the constant a value, by name, in the order of the names.

    Raises UserError where two of them have one name.
    """
    found: dict[str, Path] = {}
    files = (file for folder in folders_of(package) for file in folder.rglob("*.py"))
    for file in sorted(files, key=lambda path: path.stem):
        if constant in _assigned(_parsed(file)):
            if file.stem in found:
                raise UserError(f"two scripts are called {file.stem}: {found[file.stem]} and {file}")
            found[file.stem] = file
    return found


def first_line(script: Path) -> str:
    """What a script says it is."""
    return (ast.get_docstring(_parsed(script)) or "").partition("\n")[0]


def constant_of(script: Path, name: str) -> Any:
    """The literal value that a script gives a constant."""
    return ast.literal_eval(_assigned(_parsed(script))[name])


def load_experiment(name: str, package: str) -> ModuleType:
    """The module of an experiment; raises UserError when there is none of this name."""
    from training.names import nearest

    known = find_experiments(package)
    if name not in known:
        raise UserError(f"unknown experiment {name}: {nearest(name, known)}")
    (inside,) = (known[name].relative_to(folder) for folder in folders_of(package) if folder in known[name].parents)
    return importlib.import_module(".".join((package, *inside.with_suffix("").parts)))


def claims_of(experiment: ModuleType, config: Any) -> Claims:
    """The claims of an experiment, as far as a run with this config is about what they are about."""
    from training.claims import Claims, about
    from training.options import changed_values, values_by_key

    own = experiment.Config()
    return Claims(experiment.CLAIMS, about(changed_values(config, own), values_by_key(own)))


def read_run(folder: Path, package: str) -> tuple[dict[str, Any], ModuleType, Any]:
    """Of a run: the contents of its `config.json`, the module of its experiment, and its config as that declares it.

    Raises UserError when the folder is not a run, or its experiment or its config is no longer known.
    """
    from training.options import config_from_tree
    from training.run.folder import read_settings

    settings = read_settings(folder)
    experiment = load_experiment(settings["experiment"], package)
    config = config_from_tree(settings["config"], experiment.Config(), source=str(folder / "config.json"))
    return settings, experiment, config


def folders_of(package: str) -> list[Path]:
    """Where a package is: one folder, and for `experiments` also that of the working directory, where there is one.

    Raises UserError when there is none that Python finds.
    """
    spec = find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise UserError(f"package = {package!r}: it takes the name of a folder of experiments that Python can import")
    return [Path(folder) for folder in spec.submodule_search_locations]


def _parsed(file: Path) -> ast.Module:
    status = file.stat()
    return _parse(file, status.st_mtime_ns, status.st_size)


@cache
def _parse(file: Path, *_: int) -> ast.Module:
    """Once for each state of a file: a command looks several times at what there is."""
    return ast.parse(file.read_text(encoding="utf-8"))


def _assigned(tree: ast.Module) -> dict[str, ast.expr]:
    """What a module gives values to, and the values."""
    given: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            given |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            given[node.target.id] = node.value
    return given
