"""Libraries that belong to an optional area, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from training.core import UserError


def from_extra(library: str, extra: str) -> Any:
    """The module of a library. Raises UserError, naming the command that installs it, when it is missing."""
    try:
        return import_module(library)
    except ImportError as error:
        line = str(error).split("\n", 1)[0]
        command = f'.venv/bin/pip install -c constraints.txt -e ".[{extra}]"'
        raise UserError(f"{library} is needed ({line}); install it: {command}") from error
