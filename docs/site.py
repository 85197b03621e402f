"""What the site has besides the pages in docs/: those at the root of the repository, the README being the first.

A link to a file of the code becomes its text, as the site is read without the code beside it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""The pages at the root of the repository, and what they are in the site."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages at the root of the repository."""
    for source, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, files: Any, **_: Any) -> str:
    """Turns the links of a page, which hold in the repository, into those that hold in the site."""
    name = page.file.src_uri
    source = next((source for source, own in PAGES.items() if own == name), f"docs/{name}")

    def mended(link: re.Match[str]) -> str:
        image, text, path, anchor = link.groups(default="")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        own = PAGES.get(target, target.removeprefix("docs/"))
        if "://" in path or not (ROOT / target).exists():
            return link[0]  # one that leads nowhere is mkdocs' to complain about
        if files.get_file_from_path(own) is None:
            return text
        return f"{image}[{text}]({posixpath.relpath(own, posixpath.dirname(name) or '.')}{anchor})"

    return LINK.sub(mended, markdown)
