"""The class of a saved network, found by its name in our packages; there is no hand-kept list."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from training.errors import UserError

C = TypeVar("C")


def find_class(name: str, package: str, base: type[C], *, source: str) -> tuple[type[C], type[Any]]:
    """The class of this name and its config's class, `<name>Config`, of the one file of a package that defines both.

    No other file is imported, so that a name that was loaded from a file runs no other code.

    Args:
        name: what the saved network says it is.
        package: where its class may be, folders inside included.
        base: which the class must be a subclass of.
        source: what was loaded, for the error.

    Raises:
        UserError: the package has no such class.
    """
    module = _module_that_defines(name, package)
    if module is not None:
        found, config = (getattr(import_module(module), wanted, None) for wanted in (name, f"{name}Config"))
        if isinstance(found, type) and issubclass(found, base) and isinstance(config, type):
            return found, config
    raise UserError(f"{source} is a {name!r}: it takes a class of {package}/")


@cache
def _module_that_defines(name: str, package: str) -> str | None:
    """The dotted name of the one file of a package that defines a class of this name."""
    for module, loaded in list(sys.modules.items()):  # at the end of a run the files may be those of another version
        if module.startswith(f"{package}.") and getattr(getattr(loaded, name, None), "__module__", None) == module:
            return module
    folder = Path(import_module(package).__path__[0])
    files = sorted(folder.rglob("*.py")) if name.isidentifier() else []
    defines = re.compile(rf"^class {re.escape(name)}\b", re.MULTILINE)
    defining = [file for file in files if defines.search(file.read_text(encoding="utf-8"))]
    if len(defining) != 1:
        return None
    return ".".join((package, *defining[0].relative_to(folder).with_suffix("").parts))
