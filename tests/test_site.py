"""The site of the documentation: it is built without a warning, and has every page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT


def test_it_is_built_without_a_warning_and_every_page_can_be_found(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    found = {
        entry["location"].partition("#")[0]
        for entry in json.loads((tmp_path / "search" / "search_index.json").read_text())["docs"]
    }
    pages = [page.relative_to(ROOT / "docs").with_suffix("") for page in (ROOT / "docs").rglob("*.md")]
    wanted = {f"{page.parent}/" if page.name == "README" else f"{page}/" for page in pages}
    assert wanted | {"", "contributing/", "changelog/"} == found
    first = (tmp_path / "index.html").read_text()
    assert "prefers-color-scheme: dark" in first
    assert 'href="algorithms/on_policy/#ppo"' in first, "a link of the README to a page in docs/"
    assert 'href="agents/' not in first, "the code is not in the site"
