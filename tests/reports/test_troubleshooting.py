"""The page of symptoms says what the diagnosis says."""

from __future__ import annotations

from reports.troubleshooting import sections
from tests.support import ROOT
from training.diagnosis.diagnose import SYMPTOMS


def test_the_committed_page_is_the_one_that_is_made() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text()
    assert f"<!-- symptoms:* -->\n{sections()}<!-- /symptoms -->" in page, "run `make results`"


def test_every_symptom_has_a_section_with_what_to_try() -> None:
    text = sections()
    for symptom in SYMPTOMS:
        section = text.partition(f"## {symptom.name.capitalize()}\n")[2].partition("\n## ")[0]
        assert symptom.wrong in section
        assert symptom.seen in section
        assert section.count("\n- ") == len(symptom.remedies) > 0
    assert "- `entropy_coefficient` to 0.01: it keeps the policy trying longer\n" in text
