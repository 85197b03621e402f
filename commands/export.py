"""Write the model of a run for other programs: --format onnx, and compare that it does the same."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from commands.command_line import first_run, print_help, wants_help
from training.options import parse_options

TAKES = "RUN"


@dataclass(frozen=True)
class Options:
    """What is written, and where."""

    format: Literal["onnx", "pt2"] = "onnx"
    """onnx: for onnxruntime (extra `export`), in any language and in browsers; pt2: torch's exported program."""
    checkpoint: Literal["last", "best"] = "last"
    to: str | None = None
    """The folder; by default `exported` in the run's own. One that was exported before is replaced."""
    action_mask: bool = False
    """The policy also takes the mask of the actions that are allowed, as a second input."""
    web: str | None = None
    """Also a page that plays with it in a browser, for CartPole: where npm installed onnxruntime-web, such as
    node_modules/onnxruntime-web. All that the page needs is in it."""


def main(argv: Sequence[str], package: str) -> int:  # noqa: ARG001 - the experiment's code is not needed
    """Writes the policy or the predictor of a run as one file, all that it computes inside, once it does there what it
    does here: 1,000 inputs are compared, extremes included.
    """
    if wants_help(argv):
        return print_help("export RUN", main.__doc__, Options())
    run = first_run(argv, "export")
    (options,) = parse_options(argv[1:], Options())
    from serving.exported import DiffersError, export

    to = Path(options.to) if options.to else run / "exported"
    web = None if options.web is None else Path(options.web)
    try:
        made = export(
            run, to, format=options.format, which=options.checkpoint, action_mask=options.action_mask, web=web
        )
    except DiffersError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"model: {made.model} ({made.model.stat().st_size:,} bytes)")
    print(f"compared: {made.compared}")
    print(f"example: python {made.folder / 'example.py'}")
    if web is not None:
        print(f"page: {made.folder / 'index.html'}")
    return 0
