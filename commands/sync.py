"""Send a whole run to Weights & Biases: --tracker online|offline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from commands.command_line import first_run, print_help, wants_help
from training.options import parse_options
from training.run.tracker import sync

TAKES = "RUN"


@dataclass(frozen=True)
class Options:
    """Where the copy of a run goes."""

    tracker: Literal["auto", "online", "offline"] = "auto"
    """Online when logged in and offline otherwise, or one of them."""


def main(argv: Sequence[str], _: str) -> int:
    """Makes one whole Weights & Biases run from the files of a run."""
    if wants_help(argv):
        return print_help("sync RUN", main.__doc__, Options())
    folder = first_run(argv, "sync")
    (options,) = parse_options(argv[1:], Options())
    print(sync(folder, options.tracker))
    return 0
