"""Classic control as compiled steps: where `classic_control.cpp` has the functions of an environment."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

from training import native

SOURCE = Path(__file__).with_suffix(".cpp")


@cache
def functions(name: str) -> tuple[int, int] | None:
    """The addresses of the step and of the observation of an environment, as `Dynamics.compiled` gives them."""
    if not native.can_load(SOURCE, exact=True):
        return None
    library = native.load(SOURCE, exact=True)
    step, observe = (
        ctypes.cast(getattr(library, f"{name}_{what}"), ctypes.c_void_p).value for what in ("step", "observe")
    )
    assert step is not None
    assert observe is not None
    return step, observe
