"""What a look at data found, as data and as words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SHOWN = 5
"""So many rows are named as examples."""


@dataclass(frozen=True)
class Finding:
    """One kind of fault in one place."""

    kind: str
    """Such as missing, outliers, label errors."""
    where: str
    """The column, the split, or all of it."""
    says: str
    share: float
    """Of the rows or columns that were looked at, in [0, 1]."""
    rows: Sequence[int] = ()
    """All that are concerned, where these are rows."""
    change: str = ""
    """What would be right."""
    level: str = "wrong"
    """wrong, or a note: worth knowing, and no reason to refuse."""


@dataclass(frozen=True)
class DataReport:
    """All that was found, and what was looked at."""

    source: str
    looked_at: str
    findings: Sequence[Finding]

    @property
    def wrong(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "wrong"]

    @property
    def kinds(self) -> set[str]:
        """Of what is wrong."""
        return {finding.kind for finding in self.wrong}

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "looked_at": self.looked_at,
            "findings": [{**asdict(finding), "rows": list(map(int, finding.rows))} for finding in self.findings],
        }

    @classmethod
    def of(cls, told: dict[str, Any]) -> DataReport:
        """The inverse of `as_json`."""
        return cls(told["source"], told["looked_at"], [Finding(**finding) for finding in told["findings"]])

    def lines(self) -> Iterator[str]:
        """In words, what is wrong first."""
        yield f"{self.source}: {self.looked_at}"
        for finding in sorted(self.findings, key=lambda one: one.level != "wrong"):
            shown = f" (rows {', '.join(map(str, finding.rows[:SHOWN]))}{', ...' * (len(finding.rows) > SHOWN)})"
            yield f"  {finding.level}: {finding.kind}, {finding.where}: {finding.says}{shown * bool(len(finding.rows))}"
            if finding.change:
                yield f"    -> {finding.change}"
        notes = len(self.findings) - len(self.wrong)
        yield f"{self.source}: {len(self.wrong)} wrong, {notes} notes"
