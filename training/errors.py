"""Mistakes of the user: each is shown as one line, and never as a traceback."""

from __future__ import annotations


class UserError(Exception):
    """A mistake of the user's: shown as one line that names the value, the place and what would be right; exit code 2.

    Not a ValueError, so that config libraries let it through as it is. `key` is the field of the config that the
    message begins with, if it does: who reads the config puts before it where that field is.
    """

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key

    def _render_traceback_(self) -> list[str]:
        """How a notebook shows it."""
        return [f"error: {self}"]


def require(condition: bool, key: str, value: object, takes: str) -> None:
    """Checks one value of a config; the error names the key, the value and what the key takes."""
    if not condition:
        raise UserError(f"{key} = {value!r}: it takes {takes}", key=key)
