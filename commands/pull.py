"""Take a run that was pushed: every hash is checked, and nothing in it can run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from commands.command_line import first_word, print_help, wants_help
from reports.run_end import print_measured
from training.options import parse_options

TAKES = "SOURCE"


@dataclass(frozen=True)
class Options:
    """Where it goes."""

    run_dir: str | None = None
    """A new folder; by default runs/<experiment>/<id>, where every command finds it."""


def main(argv: Sequence[str], package: str) -> int:  # noqa: ARG001 - the experiment's code is not needed
    """Takes a run from where `push` put it. What is no safetensors or JSON, is a link, lies elsewhere or has another
    hash is refused, and nothing is kept.
    """
    if wants_help(argv):
        return print_help("pull SOURCE", main.__doc__, Options())
    source = first_word(argv, "pull", "SOURCE")
    (options,) = parse_options(argv[1:], Options())
    from serving.sharing import pull

    pulled = pull(source, Path(options.run_dir) if options.run_dir else None)
    print_measured(pulled.result.get("metrics", {}))
    print(f"run: {pulled.folder}")
    if pulled.names_code:
        named = ", ".join(pulled.names_code)
        print(f"note: its config names {named}: what acts with it imports that from this machine", file=sys.stderr)
    return 0
