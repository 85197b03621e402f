"""A page that plays CartPole with an exported policy: one file, which a browser opens without a server or a network.

The model and onnxruntime-web (MIT), which computes it, are inside: a browser lets no page from a file load other files,
and a page that takes its runtime from elsewhere stops to work with it. So who exports names the folder of an installed
npm package; the repository holds no copy of its 14 MB.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import UserError, require

RUNTIME, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
"""Of onnxruntime-web's dist/: all of its JavaScript for the CPU, and what it calls."""
EPISODE_STEPS = {"CartPole-v0": 200, "CartPole-v1": 500}
"""The environments that the page has in JavaScript."""
TEMPLATE = Path(__file__).parent / "templates" / "cartpole.html"


@dataclass(frozen=True)
class Page:
    """What goes into the page beside the model."""

    env: str
    runtime: Path
    wasm: Path


def page_for(settings: Mapping[str, Any], web: Path, form: str) -> Page:
    """The parts of the page. Raises UserError for another environment, another format, or where the package is not."""
    env = settings["config"].get("env", {}).get("id")
    if env not in EPISODE_STEPS:
        raise UserError(f"web = {str(web)!r}: the page has {' and '.join(EPISODE_STEPS)} in it, not {env or 'data'}")
    require(form == "onnx", "format", form, "'onnx' with --web")
    page = Page(env, web / "dist" / RUNTIME, web / "dist" / WASM)
    for file in (page.runtime, page.wasm):
        if not file.is_file():
            takes = "the folder node_modules/onnxruntime-web that `npm install onnxruntime-web` makes"
            raise UserError(f"web = {str(web)!r}: it takes {takes} (there is no {file})")
    return page


def add_page(folder: Path, page: Page, about: Mapping[str, Any]) -> None:
    """Writes index.html beside the model."""
    data = {
        "env": page.env,
        "episode_steps": EPISODE_STEPS[page.env],
        "about": about,
        "model": _packed(folder / about["model"]),
        "runtime": _packed(page.runtime),
        "wasm": _packed(page.wasm),
    }
    text = json.dumps(data).replace("</", "<\\/")
    html = TEMPLATE.read_text(encoding="utf-8").replace("/*DATA*/ null", text)
    (folder / "index.html").write_text(html, encoding="utf-8")


def _packed(file: Path) -> str:
    """A third of the size, and text."""
    return base64.b64encode(gzip.compress(file.read_bytes(), mtime=0)).decode("ascii")
