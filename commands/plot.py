"""Draw learning curves or performance profiles of what `compare` compares: --kind profiles --out FILE.png."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from commands.command_line import print_help, wants_help
from commands.compare import Options as CompareOptions
from commands.compare import compared, split
from reports.comparison.drawing import draw_curves, draw_profiles
from reports.plots import UNDATED
from training.errors import UserError, require
from training.options import parse_options

TAKES = "RUN..."


@dataclass(frozen=True)
class Options(CompareOptions):
    """What is compared, and how it is drawn."""

    kind: Literal["curves", "profiles"] = "curves"
    """Learning curves, or the share of runs above each score."""
    x: Literal["env_steps", "seconds"] = "env_steps"
    """Of a curve: env steps, or the wall clock."""
    out: str = "comparison.svg"
    """The file that is written: .svg, .png or .pdf."""
    dark: bool = False
    """On a dark ground."""

    def __post_init__(self) -> None:
        require(Path(self.out).suffix in UNDATED, "out", self.out, "a name that ends with " + ", ".join(UNDATED))
        require(Path(self.out).parent.is_dir(), "out", self.out, "a file in a folder that is there")
        require(not (self.json or self.csv), "json", self.json or self.csv, "false: that is for `compare`")


def main(argv: Sequence[str], package: str) -> int:
    """Draws the curves or the performance profiles of groups of runs, with 95 % intervals over seeds.

    The arguments are those of `compare`. Nothing is smoothed.
    """
    if wants_help(argv):
        return print_help("plot RUN...", main.__doc__, Options())
    words, rest = split(argv, "plot")
    (options,) = parse_options(rest, Options())
    found = compared(words, options, package)
    out = Path(options.out)
    try:
        if options.kind == "curves":
            draw_curves(found, out, options.x, dark=options.dark)
        else:
            draw_profiles(found, out, dark=options.dark)
    except OSError as error:
        raise UserError(f"out = {options.out!r}: it cannot be written ({error.strerror})") from None
    for line in (*(f"left out: {source}: {why}" for source, why in found.left_out), *found.remarks):
        print(f"- {line}")
    print(f"wrote {out}")
    return 0
