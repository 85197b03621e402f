"""`list`: what there is to run."""

from __future__ import annotations

import pytest

from tests.support.counting import command

pytestmark = pytest.mark.usefixtures("workplace")


def test_list_shows_what_makes_claims_with_the_first_line_of_its_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list") == 0
    assert capsys.readouterr().out == (
        "compared   Counts better.\n"
        "counting   Counts to a budget.\n"
        "diverging  Its loss overflows in the sixth update.\n"
    )
