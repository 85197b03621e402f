"""Serve the model of a run over HTTP on this machine: --port 8123."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from commands.command_line import first_run, print_help, wants_help
from serving.ray_serve import ServeConfig, serving
from training.options import parse_options
from training.run.folder import find_checkpoint, read_settings

TAKES = "RUN"


@dataclass(frozen=True)
class Options:
    """What is served."""

    checkpoint: Literal["last", "best"] = "last"
    action_mask: bool = False
    """The policy also takes the mask of the actions that are allowed."""


def main(argv: Sequence[str], package: str) -> int:  # noqa: ARG001 - the experiment's code is not needed
    """Answers with what the policy does, or the predictor says, until Ctrl-C (extra `serve`).

    POST /act takes the inputs by their names and gives the outputs; GET /schema says which, /health that it is there,
    /metrics how much it did. It listens on 127.0.0.1 alone.
    """
    if wants_help(argv):
        return print_help("serve RUN", main.__doc__, Options(), ServeConfig())
    run = first_run(argv, "serve")
    options, config = parse_options(argv[1:], Options(), ServeConfig())
    settings = read_settings(run)
    about = {key: settings[key] for key in ("experiment", "id", "seed")}
    ended = threading.Event()
    before = {number: signal.signal(number, _ending(ended)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        checkpoint = find_checkpoint(run, options.checkpoint)
        with serving(checkpoint, about, config, action_mask=options.action_mask) as address:
            print(
                f"serving {settings['experiment']} at {address}: /act, /schema, /health, /metrics; Ctrl-C ends it",
                flush=True,
            )
            ended.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _ending(ended: threading.Event) -> Any:
    return lambda *_: ended.set()
