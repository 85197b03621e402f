"""A table for a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence


def print_columns(
    titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), drop: Sequence[str] = ()
) -> None:
    """Prints rows of texts under their titles, the columns named in `right` flush right.

    In a terminal that is too narrow it leaves out the columns named in `drop`, one after another, and cuts off what is
    still too long; a pipe gets all of it.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    shown = [title for title in titles if any(row[titles.index(title)] for row in rows)]
    for title in drop:
        if width is not None and sum(_widths(titles, rows, shown)) + 2 * (len(shown) - 1) > width:
            shown = [name for name in shown if name != title]
    for row in [titles, *rows]:
        cells = zip(shown, _widths(titles, rows, shown), strict=True)
        texts = [(row[titles.index(name)], cells_wide, name in right) for name, cells_wide in cells]
        line = "  ".join(text.rjust(wide) if flush else text.ljust(wide) for text, wide, flush in texts)
        print(line.rstrip()[:width])


def _widths(titles: Sequence[str], rows: Sequence[Sequence[str]], shown: Sequence[str]) -> list[int]:
    return [max(len(row[titles.index(name)]) for row in [titles, *rows]) for name in shown]
