"""Writes the page: one HTML file that needs no network, and is under `LIMIT` whatever it holds.

The figures are plotly's. Its script has 4.9 MB, which is the page's whole limit, so it is kept in the page as gzip in
base64 (2.0 MB), which every browser since 2023 unpacks. Where scripts do not run, and in print, a picture stands in its
place.
"""

from __future__ import annotations

import base64
import gzip
import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from reports.comparison.drawing import DARK_COLOURS, LIGHT_COLOURS
from reports.comparison.showing import differences
from reports.html import sections
from reports.html.asked import Asked, learning_curves, speeds
from reports.html.figures import Figure, data_uri
from reports.html.first_screen import cards
from reports.html.learned import HeldOut, image
from reports.templates import templates_in
from training.errors import UserError
from training.extras import extra
from training.run.files import sync

LIMIT = 5_000_000
"""Bytes of the page, videos included."""
FOR_FIGURES = 2_000_000
"""Bytes of all figures; those that are left out are named."""
MARGIN = 50_000
"""Bytes that are left free when videos are embedded."""


def write_page(asked: Asked, out: Path) -> Path:
    """Writes the page, which is at every moment the old one or the new one in full.

    Raises:
        UserError: the extra `plots` is missing, or the file cannot be written.
    """
    figures, left_out = _within(learning_curves(asked), FOR_FIGURES)
    context = _context(asked, figures, left_out)
    text = _with_videos(context, sections.videos(asked, out))
    unfinished = out.with_name(out.name + ".unfinished")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(text, encoding="utf-8")
        sync(unfinished)
        os.replace(unfinished, out)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise UserError(f"out = {str(out)!r}: it cannot be written ({error.strerror})") from None
    return out


def _with_videos(context: dict[str, Any], videos: Sequence[sections.Video]) -> str:
    """The page with as many videos inside as it has room for, the small ones first."""
    room = LIMIT - MARGIN - len(_render(context | {"videos": videos}).encode())
    embedded = []
    for video in sorted(videos, key=lambda one: one.path.stat().st_size):
        content = data_uri("video/mp4", video.path.read_bytes()) if video.path.stat().st_size < room else ""
        if content and len(content) < room:
            room -= len(content)
            embedded.append(replace(video, embedded=content))
        else:
            embedded.append(video)
    return _render(context | {"videos": sorted(embedded, key=lambda one: videos.index(replace(one, embedded=None)))})


def _context(asked: Asked, figures: Sequence[Figure], left_out: Sequence[str]) -> dict[str, Any]:
    one, held_out = asked.one, asked.held_out
    of_speed, _ = _within(speeds(asked), FOR_FIGURES // 4)
    calibration = [held_out.calibration()] if isinstance(held_out, HeldOut) else []
    return {
        "title": sections.title(asked),
        "words": asked.words,
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "nonce": secrets.token_urlsafe(16),
        "asked": asked,
        "one": one,
        "cards": cards(asked),
        "claims": sections.claims(asked),
        "how_compared": sections.how_compared(asked) if one is None else "",
        "compared": sections.compared(asked) if one is None else [],
        # That the one run is not finished stands in the first line.
        "left_out": [other for other in asked.left_out if one is None or other.source != str(one.folder)],
        "remarks": asked.comparison.remarks if asked.comparison is not None and one is None else [],
        "differences": differences(asked.comparison) if asked.comparison and asked.comparison.differences else None,
        "curves": figures,
        "curves_left_out": left_out,
        "speeds": of_speed,
        "calibration": calibration,
        "troubles": sections.troubles(asked),
        "costs": sections.costs(asked),
        "data_reports": sections.data_reports(asked),
        "environments": sections.environments(asked),
        "exactness": sections.exactness(asked),
        "commands": sections.commands_of(asked),
        "sections": sections,
        "image": image,
        "is_held_out": isinstance(held_out, HeldOut),
        "figures": {
            f"{kind}-{index}": figure.plot
            for kind, several in (("curve", figures), ("speed", of_speed), ("calibration", calibration))
            for index, figure in enumerate(several)
        },
        "plotly": _plotly() if figures or of_speed or calibration else "",
        "series": {"light": LIGHT_COLOURS, "dark": DARK_COLOURS},
    }


def _within(figures: Iterable[Figure], limit: int) -> tuple[list[Figure], list[str]]:
    """The figures that have so many bytes together, and the titles of the others."""
    kept, left_out = [], []
    for figure in figures:
        limit -= len(figure.light) + len(figure.dark) + len(str(figure.plot))
        if limit > 0:
            kept.append(figure)
        else:
            left_out.append(figure.title)
    return kept, left_out


@cache
def _plotly() -> str:
    """Plotly's script as gzip in base64."""
    with extra("plots"):
        from plotly.offline import get_plotlyjs
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def _render(context: dict[str, Any]) -> str:
    """The template with its values."""
    return templates_in(Path(__file__).parent).get_template("page.html").render(context)
