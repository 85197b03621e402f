"""A report as data and as words."""

from __future__ import annotations

from training.data.quality.finding import DataReport, Finding

REPORT = DataReport(
    "a table",
    "9 rows",
    [Finding("rare", "here", "note it", 0.1, level="note"), Finding("missing", "age", "some", 1, range(7), "fill")],
)


def test_json_gives_the_report_back() -> None:
    again = DataReport.of(REPORT.as_json())
    assert again.as_json() == REPORT.as_json()
    assert again.kinds == {"missing"}


def test_words_begin_with_what_is_wrong() -> None:
    assert list(REPORT.lines()) == [
        "a table: 9 rows",
        "  wrong: missing, age: some (rows 0, 1, 2, 3, 4, ...)",
        "    -> fill",
        "  note: rare, here: note it",
        "a table: 1 wrong, 1 notes",
    ]
