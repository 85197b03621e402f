"""Put a run where others find it: a folder, or s3://, gs:// or hf://, with a card and the hash of every file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from commands.command_line import first_run, first_word, print_help, wants_help
from training.options import parse_options

TAKES = "RUN TARGET"


@dataclass(frozen=True)
class Options:
    """What others see."""

    paths: bool = False
    """Also a run whose config names paths of this machine, which others then read."""


def main(argv: Sequence[str], package: str) -> int:  # noqa: ARG001 - the experiment's code is not needed
    """Copies a run with its newest and its best checkpoint: safetensors and JSON, a card, and the SHA-256 of each."""
    if wants_help(argv):
        return print_help("push RUN TARGET", main.__doc__, Options())
    run = first_run(argv, "push")
    target = first_word(argv[1:], "push RUN", "TARGET")
    (options,) = parse_options(argv[2:], Options())
    from serving.sharing import push

    pushed = push(run, target, paths=options.paths)
    print(f"pushed: {pushed.address} ({pushed.files} files, {pushed.size_bytes:,} bytes)")
    print(f"anyone takes it with: regimen pull {pushed.address}")
    return 0
