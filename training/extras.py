"""Optional packages come in extras: where one is missing, the error says which command installs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.errors import UserError

INSTALL = ".venv/bin/pip install -c constraints.txt"
IN_A_CLONE = Path(__file__).parents[1].joinpath("pyproject.toml").exists()


def install_command(extra: str) -> str:
    """What installs an extra of this project."""
    return f'{INSTALL} -e ".[{extra}]"' if IN_A_CLONE else f'pip install ".[{extra}]" in the clone of regimen'


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around imports: a package that is missing is a UserError that says how to install the extra it comes in."""
    try:
        yield
    except ImportError as error:
        line = str(error).split("\n", 1)[0]
        raise UserError(f"a package is missing ({line}); install it: {install_command(name)}") from error
