"""A run exported: one folder with the model, what it takes and gives, and an example; nothing of ours is needed there.

model.onnx or model.pt2   the model
model.json                its inputs and outputs, the run it is of, how it was compared, its SHA-256
example.py                ten lines that call it
index.html                where asked for: a page that plays with it in a browser
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from serving.browser import add_page, page_for
from serving.comparison import Compared, compare, inputs_for
from serving.loaded import module_of
from serving.model_file import Format, load_model, write_model
from training.errors import require
from training.run.files import read_json, sha256, write_json
from training.run.folder import find_checkpoint, read_settings

FORMAT = 1
EXAMPLE_ROWS = 4
TEMPLATES = Path(__file__).parent / "templates"


class DiffersError(Exception):
    """The exported model does not do what the run's does."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    folder: Path
    model: Path
    compared: Compared


def export(
    run: Path,
    to: Path,
    *,
    format: Format = "onnx",  # noqa: A002 - as the option is called
    which: Literal["last", "best"] = "last",
    action_mask: bool = False,
    web: Path | None = None,
) -> Exported:
    """Writes the folder, which replaces an exported one, once the model there does what the run's does.

    Args:
        run: its folder.
        to: where; it is new, or was exported before.
        format: of the model.
        which: the checkpoint.
        action_mask: the policy also takes the mask of the actions that are allowed.
        web: the folder of an installed onnxruntime-web, for the page.

    Raises:
        UserError: there is nothing to export in the run, or something cannot be exported.
        DiffersError: the exported model does something else; nothing is kept.
    """
    settings = read_settings(run)
    checkpoint = find_checkpoint(run, which)
    module, here = module_of(checkpoint, action_mask=action_mask)
    taken = to.exists() and not (to.is_dir() and ((to / "model.json").exists() or not any(to.iterdir())))
    require(not taken, "to", str(to), "a new folder, or one that was exported before")
    page = None if web is None else page_for(settings, web, format)
    unfinished = to.with_name(f"{to.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        model = unfinished / f"model.{format}"
        write_model(module, module.signature, inputs_for(module.signature, EXAMPLE_ROWS), model)
        compared = compare(here, load_model(model, module.signature), module.signature)
        if not compared.same:
            raise DiffersError(f"model.{format} differs from {checkpoint}: {compared}; nothing was written")
        about = {
            "format": FORMAT,
            "model": model.name,
            "sha256": sha256(model),
            **module.signature.as_json(),
            "made_of": _made_of(settings, checkpoint, which),
            "compared": compared.as_json(),
        }
        write_json(unfinished / "model.json", about)
        shutil.copyfile(TEMPLATES / f"example_{format}.txt", unfinished / "example.py")
        if page is not None:
            add_page(unfinished, page, about)
        if to.exists():
            shutil.rmtree(to)
        unfinished.rename(to)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Exported(to, to / model.name, compared)


def _made_of(settings: Mapping[str, Any], checkpoint: Path, which: str) -> dict[str, Any]:
    return {
        "experiment": settings["experiment"],
        "run": settings["id"],
        "seed": settings["seed"],
        "checkpoint": which,
        "counters": read_json(checkpoint / "manifest.json")["counters"],
        "torch": torch.__version__,
    }
