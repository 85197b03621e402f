"""Numbers as a person writes and reads them: 100k, 2.5M, 1:05."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from types import MappingProxyType

SCALES = MappingProxyType({"k": 10**3, "m": 10**6, "g": 10**9})
"""What the letters after a number stand for, in either case."""
_SCALED = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)[kmg]", re.IGNORECASE)


def unscaled(text: str) -> str:
    """A number such as `100k` or `2.5M` in plain digits; any other text as it is."""
    if not _SCALED.fullmatch(text):
        return text
    number = Decimal(text[:-1]) * SCALES[text[-1].lower()]
    return str(int(number)) if number == int(number) else f"{number.normalize():f}"


def short(number: float) -> str:
    """About four characters: 7, 0.0123, 412.3, 124k, 1.25M."""
    size = abs(number)
    if not math.isfinite(number):
        return str(number)
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if size >= 10 * scale or (size >= scale and unit != "k"):
            scaled = number / scale
            return f"{scaled:.{0 if abs(scaled) >= 100 else 1 if abs(scaled) >= 10 else 2}f}{unit}"
    if float(number).is_integer():
        return f"{number:.0f}"
    return f"{number:.1f}" if size >= 10 else f"{number:.3g}"


def duration(seconds: float) -> str:
    """As a clock shows it, 1:05 or 2:00:00, and from a day on 3d 4h."""
    whole = math.ceil(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours >= 24:
        return f"{hours // 24}d {hours % 24}h"
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
