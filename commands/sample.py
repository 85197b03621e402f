"""Let the language model of a run write: --prompt "def main(" --temperature 0.8 --top-p 0.95."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from commands.command_line import first_run, print_help, wants_help
from training.errors import require
from training.options import parse_options

TAKES = "RUN"


@dataclass(frozen=True)
class Options:
    """What is written, and how it is drawn."""

    prompt: str = ""
    """What the text begins with."""
    temperature: float = 0.8
    """The logits are divided by it; 0: always the likeliest token."""
    top_k: int | None = None
    """Draw among the k likeliest tokens."""
    top_p: float = 1.0
    """Draw among the likeliest tokens that together have this probability."""
    stop: tuple[str, ...] = ()
    """Words before which the text ends."""
    max_tokens: int = 256
    count: int = 1
    """How many texts."""
    seed: int = 1
    """The same seed, run and options give the same texts."""
    checkpoint: Literal["last", "best"] = "last"


def main(argv: Sequence[str], _: str) -> int:
    """Writes texts by the language model of a run, as they are drawn; what is no text goes to stderr."""
    if wants_help(argv):
        return print_help("sample RUN", main.__doc__, Options())
    folder = first_run(argv, "sample")
    (options,) = parse_options(argv[1:], Options())
    require(options.seed >= 0, "seed", options.seed, "an integer of at least 0")
    require(options.count >= 1, "count", options.count, "at least 1")

    from finetuning.language_model import load_adapted
    from pretraining.sampling import SamplingConfig, require_prompt, stream
    from training.seeding import generator

    how = SamplingConfig(options.temperature, options.top_k, options.top_p, options.max_tokens)
    model = load_adapted(folder, options.checkpoint)
    prompt = require_prompt(model, options.prompt)
    for number in range(options.count):
        if options.count > 1:
            print(f"{number + 1} of {options.count}:", file=sys.stderr, flush=True)
        print(options.prompt, end="", flush=True)
        rng = generator(options.seed, "sample", number)
        for piece in stream(model, prompt, rng, how, stop=options.stop):
            print(piece, end="", flush=True)
        print(flush=True)
    return 0
