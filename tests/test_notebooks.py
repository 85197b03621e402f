"""The notebooks in docs/notebooks: they run from a fresh kernel, and what is saved of them is fit to be read."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.support import ROOT
from tests.support.notebooks import execute
from tests.test_docs import LINK, anchors_of

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
OF_A_MACHINE = re.compile(r"(?<![\w.:/<])/(?:home|Users|root|tmp|work|opt|usr|var|private|mnt|data)/")
LARGEST_BYTES = 150_000
FAST = "own_environment"


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_of(path: Path) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def texts_of(output: Any) -> list[str]:
    """What a reader sees of an output, but for pictures of pixels."""
    if output.output_type == "stream":
        return [output.text]
    return [text for kind, text in output.data.items() if kind.startswith("text/") or kind == "image/svg+xml"]


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["first_agent", "from_data_to_agent", "own_environment"]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=() if path.stem == FAST else pytest.mark.full) for path in NOTEBOOKS],
)
def test_it_runs_from_a_fresh_kernel(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINARI_DATASETS_PATH", raising=False)
    execute(read(path), tmp_path, monkeypatch)  # it raises what a cell raises


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_saved_was_executed_in_order_and_names_no_machine(path: Path) -> None:
    cells = code_of(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not any("execution" in cell.metadata for cell in cells), "when it ran is nobody's business"
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    assert not [one for one in outputs if one.output_type == "error"]
    shown = [cell.source for cell in cells] + [text for output in outputs for text in texts_of(output)]
    for text in shown:
        assert not OF_A_MACHINE.search(text), text
        assert str(ROOT) not in text
        assert "Traceback" not in text
        assert not re.search(rf"(?<![\w-]){re.escape(socket.gethostname())}(?![\w-])", text), text
    assert path.stat().st_size < LARGEST_BYTES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_link_leads_somewhere(path: Path) -> None:
    for cell in read(path).cells:
        for link in LINK.findall(cell.source) if cell.cell_type == "markdown" else ():
            if not link.startswith("https://"):
                target, _, anchor = link.partition("#")
                assert (path.parent / target).exists(), link
                assert not anchor or anchor in anchors_of((path.parent / target).resolve()), link
