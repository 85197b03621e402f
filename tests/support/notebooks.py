"""Notebooks that are executed by a kernel of their own; as a program it saves what those in docs/notebooks show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support import ROOT


def execute(notebook: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, **how: Any) -> list[Any]:
    """Executes the cells in a fresh kernel that works in the folder; their outputs, a list for each cell of code.

    Raises nbclient's CellExecutionError for a cell that raises, unless `how` has `allow_errors`.
    """
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # with it a kernel does not take what is written to its stderr itself
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):  # they are in the home of whoever runs the tests
        monkeypatch.setenv(name, str(folder / ".jupyter"))
    _client(notebook, folder, **how).execute()
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def of_cells(*sources: str) -> Any:
    """A notebook of these cells of code."""
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def printed(outputs: list[Any], name: str = "stdout") -> str:
    """What a cell wrote to one of its streams."""
    return "".join(one.text for one in outputs if one.output_type == "stream" and one.name == name)


def _client(notebook: Any, folder: Path, **how: Any) -> NotebookClient:
    where = {"metadata": {"path": str(folder)}}
    # When it ran is of no use to who reads it.
    return NotebookClient(notebook, timeout=None, kernel_name="python3", resources=where, record_timing=False, **how)


def main() -> None:
    """Executes the notebooks of the documentation where they are, and saves them."""
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        print(path.relative_to(ROOT), flush=True)
        notebook = nbformat.read(path, as_version=4)
        _client(notebook, path.parent).execute()
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
