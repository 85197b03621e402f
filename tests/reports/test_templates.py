"""Values are escaped, missing ones are no silence, and JSON is one that browsers read."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from reports.templates import templates_in


def test_values_are_escaped_and_missing_ones_raise(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>{{ name }}</p>{{ numbers | tojson }}")
    page = templates_in(tmp_path).get_template("page.html")
    assert page.render(name="<script>", numbers=[1, "</script>"]) == (
        '<p>&lt;script&gt;</p>[1, "\\u003c/script\\u003e"]'
    )
    with pytest.raises(UndefinedError, match="name"):
        page.render(numbers=[])
    with pytest.raises(ValueError, match="not JSON compliant"):
        page.render(name="a", numbers=[float("nan")])
