"""A notebook as the place where training runs: whether there is one, and a line in it that is written over.

Nothing of IPython is imported where no notebook is.
"""

from __future__ import annotations

import sys
from html import escape
from typing import Any


def in_notebook() -> bool:
    """Whether a cell of a notebook runs this code."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class Line:
    """One line of a cell's output. Each `show` writes over it, so that a saved notebook holds the last one alone."""

    def __init__(self) -> None:
        self._handle: Any = None

    @property
    def is_shown(self) -> bool:
        return self._handle is not None

    def show(self, text: str, fraction: float) -> None:
        """Shows the text beside a bar, which is filled to the fraction."""
        from IPython.display import display

        bar = f'<progress value="{fraction:.3f}" max="1"></progress>'
        line = f'<span style="white-space: pre-wrap; font-family: monospace">{escape(text)}</span>'
        shown = {"text/plain": text, "text/html": f"{bar} {line}"}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)
