"""Marks for tests that need a package of an extra: they are skipped, with the reason, where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def needs(package: str, extra: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"needs {package}, of the extra {extra!r}")
