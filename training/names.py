"""Names that somebody typed: what was perhaps meant, and what a module has under a dotted one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a complaint about an unknown name: the known one that was perhaps meant, or the first of them all."""
    known = list(known)
    shown = f"{', '.join(known[:10])}{', ...' if len(known) > 10 else ''}"
    return nearest_hint(name, known).removeprefix("; ") or f"there are {shown}"


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """The same where there are too many to list, or none: after a semicolon, and empty where none is close."""
    known = list(known)
    same_end = [candidate for candidate in known if candidate.endswith("." + name.lstrip("-"))]
    close = same_end or difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def find_object(holder: object, qualified_name: str) -> Any:
    """What has this name in a module, such as `Corridor` or `Corridors.Long`; None where nothing has."""
    found: Any = holder
    for name in qualified_name.split("."):
        found = getattr(found, name, None)
    return found
