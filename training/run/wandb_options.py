"""What is asked of Weights & Biases before a run begins: how the copy is filed, and whether anybody is logged in."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from training.errors import UserError, require
from training.run.provenance import ROOT
from training.run.tracker import read_trackers

LOGINS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
NO_LOGIN = 3
"""The exit code of who has looked for a login and found none."""


@dataclass(frozen=True)
class WandbOptions:
    """How a copy in W&B is filed. What is not given is as W&B's environment variables say, such as WANDB_PROJECT."""

    project: str | None = None
    """By default `regimen`."""
    entity: str | None = None
    """The user or the team that the project belongs to; by default whoever is logged in."""
    group: str | None = None
    """By default the experiment with a hash of its config without the seed: the seeds of one configuration."""
    name: str | None = None
    """By default the id of the run."""
    job_type: str | None = None
    """Such as train or debug."""
    tags: tuple[str, ...] = ()
    """Several words, or with commas between them."""
    notes: str | None = None
    """A text to remember the run by."""

    def __post_init__(self) -> None:
        named = self.project or ""
        require(not set(named) & set("/\\#?%:"), "project", self.project, "a name without any of / \\ # ? % :")
        for key in ("project", "entity", "group", "name", "job_type", "notes"):
            value = getattr(self, key)
            longest = None if key == "notes" else 128
            takes = f"1 to {longest} letters" if longest else "a text that is not empty"
            require(value is None or 1 <= len(value) <= (longest or len(value)), key, value, takes)
        words = ",".join(self.tags).split(",") if self.tags else []
        object.__setattr__(self, "tags", tuple(word.strip() for word in words))
        require(all(1 <= len(tag) <= 64 for tag in self.tags), "tags", ",".join(self.tags), "tags of 1 to 64 letters")

    @property
    def given(self) -> dict[str, Any]:
        """What is asked for, as `config.json` keeps it."""
        return {key: list(value) if key == "tags" else value for key, value in vars(self).items() if value}


def require_login(asked: str) -> None:
    """Raises UserError where `--tracker online` is asked for and nobody is logged in to W&B.

    W&B itself is asked, in a process of its own, unless a key is in the environment.
    """
    is_asked = any(target.library == "wandb" and target.mode == "online" for target in read_trackers(asked))
    if not is_asked or any(os.environ.get(name) for name in LOGINS):
        return
    code = f"from training.run.wandb_process import logged_in; raise SystemExit(0 if logged_in() else {NO_LOGIN})"
    if subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == NO_LOGIN:
        raise UserError(
            f"tracker = {asked!r}: nobody is logged in to W&B; `wandb login` logs in, and --tracker offline keeps the "
            "copy in the folder of the run for `sync`"
        )
