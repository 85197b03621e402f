"""Runs as a report reads them, made by nothing: finished, stopped, with stages, and with names that are no friends."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from reports.comparison.records import LeftOut, Record
from reports.comparison.runs import read_record
from reports.html.asked import Asked
from reports.html.facts import read_facts
from tests.support.compared import METRIC, write_run

HOSTILE = "<script>alert('1')</script>\"'&<img src=x onerror=alert(2)>$x_{^$"
"""What a name, a note or a value may be."""


def asked_of(*folders: Path, **more: Any) -> Asked:
    """What a page about these runs is made of, as `report` makes it."""
    from commands.compare import HowCompared, compared_by

    read = [read_record(folder) for folder in folders]
    out = [one for one in read if isinstance(one, LeftOut)]
    records = [one for one in read if isinstance(one, Record)]
    facts = [read_facts(folder) for folder in folders]
    if not records:
        return Asked(["runs"], METRIC, facts, out, why_not="there is no run", **more)
    grouped, comparison = compared_by(METRIC, HowCompared(), records, out)
    return Asked(["runs"], METRIC, facts, grouped.left_out, grouped, comparison, **more)


def write_stopped(folder: Path, status: str = "interrupted", **changes: Any) -> Path:
    """A run that was stopped on its way; "running": no part of it has ended yet."""
    write_run(folder, 100.0, status=status, metrics={}, best={}, **changes)
    if status == "running":
        (folder / "result.json").unlink()
    return folder


def change(folder: Path, name: str, **changes: Any) -> None:
    """Changes the values of a JSON file of a run."""
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


class Read(HTMLParser):
    """What a browser would see of a page: its elements with their attributes, its words, its scripts' contents."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: dict[str, str] = {}
        self._script: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self._script = dict(attrs).get("id") or "page"
        elif tag == "style":
            self._script = "style"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts[self._script] = data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]
