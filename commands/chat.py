"""Talk to the language model of a run that learned to answer; a line is a question, Ctrl-D ends it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from commands.command_line import first_run, print_help, wants_help
from training.errors import UserError, require
from training.experiments import read_run
from training.options import parse_options

TAKES = "RUN"
AFRESH = "/new"
"""The line after which nothing is remembered of what was said."""


@dataclass(frozen=True)
class Options:
    """How answers are drawn."""

    temperature: float = 0.8
    """The logits are divided by it; 0: always the likeliest token."""
    top_k: int | None = None
    """Draw among the k likeliest tokens."""
    top_p: float = 1.0
    """Draw among the likeliest tokens that together have this probability."""
    max_tokens: int = 256
    """Of one answer."""
    seed: int = 1
    """The same seed, run, options and questions give the same answers."""
    checkpoint: Literal["last", "best"] = "last"


def main(argv: Sequence[str], package: str) -> int:
    """Answers each line of stdin as it is drawn, by all that was said before; the line /new begins afresh."""
    if wants_help(argv):
        return print_help("chat RUN", main.__doc__, Options())
    folder = first_run(argv, "chat")
    (options,) = parse_options(argv[1:], Options())
    require(options.seed >= 0, "seed", options.seed, "an integer of at least 0")
    _, _, config = read_run(folder, package)
    if not hasattr(config, "template"):
        raise UserError(f"{folder} did not learn to answer: `sample` lets it write, if it is a language model")

    from finetuning.language_model import load_adapted
    from pretraining.sampling import SamplingConfig, stream
    from training.seeding import generator

    how = SamplingConfig(options.temperature, options.top_k, options.top_p, options.max_tokens)
    model, template = load_adapted(folder, options.checkpoint), config.template
    said: list[tuple[str, str]] = []
    for number, question in enumerate(_questions()):
        if question == AFRESH:
            said = []
            continue
        try:
            prompt = template.asked(model.tokenizer, question, said)
        except UserError as error:  # who talks is told, and goes on
            print(f"error: {error}", file=sys.stderr, flush=True)
            continue
        answer = ""
        for piece in stream(model, prompt, generator(options.seed, "chat", number), how, stop=template.stop):
            answer += piece
            print(piece, end="", flush=True)
        print(flush=True)
        # Without a mark between them, a question and what was said before would be one text.
        said = [*said, (question, answer)] if template.stop else []
    return 0


def _questions() -> Iterator[str]:
    """The lines that somebody types or pipes; empty ones are none."""
    while True:
        if sys.stdin.isatty():
            print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.rstrip("\n")
