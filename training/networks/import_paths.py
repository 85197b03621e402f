"""Classes of networks by their import path, `package.module:Name`, as a config names them and a run saves them."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from training.errors import UserError
from training.names import find_object, nearest_hint

if TYPE_CHECKING:  # a config is read before torch is needed
    from torch import nn

_TAKES = "it takes package.module:Name, the import path of a torch.nn.Module"


def path_of(module: type[Any]) -> str:
    """The import path of a class. Raises UserError for one that cannot be found again by it."""
    path = f"{module.__module__}:{module.__qualname__}"
    if "<locals>" in path:
        raise _error(path, "it takes a class at the top level of a file, not one made inside of a function")
    return path


def class_at(path: str) -> type[nn.Module]:
    """The class of an import path, whose module is imported. Raises UserError where there is no such network."""
    name, _, attribute = path.partition(":")
    if not name or name.startswith(".") or not all(part.isidentifier() for part in attribute.split(".")):
        before, dot, last = path.rpartition(".")
        meant = f"; did you mean {before}:{last}?" if dot and not attribute else ""
        raise _error(path, f"{_TAKES}{meant}")
    try:
        module = sys.modules[name] if name == "__main__" else import_module(name)
    except ImportError as error:
        raise _error(
            path, f"cannot import {name!r} ({error}); {_TAKES}, from this folder or one in PYTHONPATH"
        ) from error
    found = find_object(module, attribute)
    if found is None:
        if name == "__main__":
            raise _error(path, "it was defined in another script or notebook; put it into a file and name that")
        raise _error(path, f"{name} has no {attribute!r}{nearest_hint(attribute, dir(module))}")
    from torch import nn  # late: see above

    # Nothing but a network is ever called, as the path may come from somebody else's checkpoint.
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise _error(path, f"{_TAKES}, which {found!r} is not")
    return found


def check_arguments(path: str, arguments: dict[str, Any]) -> None:
    """Raises UserError for arguments that the constructor of this network does not take beside the spaces."""
    signature = inspect.signature(class_at(path))
    try:
        signature.bind(None, **arguments)
    except TypeError as error:
        takes = f"{path}{signature} does not take them after the observation spaces ({error})"
        raise UserError(f"module_kwargs = {arguments!r}: {takes}", key="module_kwargs") from None


def _error(path: str, told: str) -> UserError:
    return UserError(f"module = {path!r}: {told}", key="module")
