"""The stages of a run: each has its own folder `<nn>-<name>/` in that of the run, with its own config and parent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.errors import UserError
from training.run.files import read_json, write_json


def stage_folders(run: Path) -> list[Path]:
    """The folders of a run's stages, in their order; none for a run of one stage."""
    return sorted(run.glob("[0-9][0-9]-*"))


def require_no_stage(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raises UserError for the folder of one stage, which does not go on without the others."""
    if "stage" in settings:
        raise UserError(f"{folder} is a stage of the run {folder.parent}: resume that")


def make_stage(run: Path, settings: Mapping[str, Any], number: int, name: str, parent: str | None) -> dict[str, Any]:
    """Makes the folder of a stage, where there is none yet, and returns the settings that its `config.json` has.

    Args:
        run: the folder of the run.
        settings: those of the run.
        number: of the stage, from 1.
        name: of the stage.
        parent: the stage before it; of the first one, the run's own parent.

    Raises:
        UserError: the run has another stage in this place.
    """
    folder = run / f"{number:02d}-{name}"
    others = [other.name for other in run.glob(f"{number:02d}-*") if other != folder]
    if others:
        raise UserError(f"stage {folder.name} of {run} is {others[0]} there: did the experiment change?")
    # Each stage makes choices of its own, and keeps those that it has made.
    chosen = read_json(folder / "config.json").get("chosen", {})
    own = {**settings, "stage": folder.name, "parent": parent, "chosen": chosen}
    folder.mkdir(exist_ok=True)
    write_json(folder / "config.json", own)
    return own
