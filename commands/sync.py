"""Send a whole run to Weights & Biases or other trackers: --tracker online,tensorboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from commands.command_line import first_run, print_help, wants_help
from training.options import parse_options
from training.run.tracker import sync

TAKES = "RUN"


@dataclass(frozen=True)
class Options:
    """Where the copies of a run go."""

    tracker: str = "auto"
    """As for `train`: auto, online or offline for Weights & Biases, tensorboard; online+weights+histograms+code."""


def main(argv: Sequence[str], _: str) -> int:
    """Makes whole copies from the files of a run, or of every run in a folder such as that of `verify`."""
    if wants_help(argv):
        return print_help("sync RUN", main.__doc__, Options())
    folder = first_run(argv, "sync")
    (options,) = parse_options(argv[1:], Options())
    print(sync(folder, options.tracker))
    return 0
