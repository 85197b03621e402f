"""The command line: finds the command by the name of its file, runs it and turns errors into exit codes.

No command is imported before it is asked for: `--help` and `list` answer at once.
"""

from __future__ import annotations

import os
import select
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from training.errors import UserError
from training.experiments import constant_of, find_scripts, first_line
from training.program import program

USAGE = """\
usage: {program} COMMAND

{commands}

`train NAME --help` lists the options of an experiment; every other command has --help too.
Exit codes: 0 done, 1 failed or a claim does not hold, 2 a mistake in what was asked, 128 + signal when interrupted."""


CLOSED_PIPE = 128 + 13
"""The exit code of who writes for nobody, as of a program that SIGPIPE ends."""


def main(argv: Sequence[str], package: str = "experiments") -> int:
    """Carries out one command.

    Args:
        argv: the words after `python -m experiments`.
        package: the package whose modules are the experiments.

    Returns:
        The exit code.
    """
    if not argv or argv[0] in ("-h", "--help", "help"):
        with suppress(BrokenPipeError):
            print(usage(), flush=True)
        _nobody_reads()
        return 0 if argv else 2
    known = find_scripts("commands", "TAKES")
    if argv[0] not in known:
        from training.names import nearest

        return _mistake(f"unknown command {argv[0]}: {nearest(argv[0], known)}")
    try:
        code: int = import_module(f"commands.{argv[0]}").main(argv[1:], package)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return CLOSED_PIPE
        return _exit_code(error)
    return code


def usage() -> str:
    """What there is to ask for: a line for each command."""
    scripts = find_scripts("commands", "TAKES")
    asked = {f"{name} {constant_of(script, 'TAKES')}".strip(): first_line(script) for name, script in scripts.items()}
    width = max(map(len, asked))
    return USAGE.format(
        program=program(), commands="\n".join(f"  {words:{width}}  {line}" for words, line in asked.items())
    )


def first_word(argv: Sequence[str], command: str, takes: str) -> str:
    """What a command is about: its first word. Raises UserError when it is missing."""
    if not argv or argv[0].startswith("-"):
        raise UserError(f"{command} takes {takes} first: {program()} {command} {takes} [options]")
    return argv[0]


def first_run(argv: Sequence[str], command: str) -> Path:
    """The folder of the run that a command is about: see `find_run` for what its first word may be."""
    from training.run.runs import find_run

    word = first_word(argv, command, "RUN")
    folder = find_run(word)
    if folder != Path(word):
        print(f"{word} is {folder}", file=sys.stderr)
    return folder


def require_nothing(argv: Sequence[str], command: str) -> None:
    """Raises UserError for a word after a command that takes none."""
    if argv:
        raise UserError(f"unexpected {argv[0]!r}: {command} takes nothing")


def wants_help(argv: Sequence[str]) -> bool:
    """Whether the options are asked for."""
    return "--help" in argv or "-h" in argv


def print_help(command: str, description: str | None, *options: object) -> int:
    """Prints what a command does and every option with its default; returns the exit code."""
    from training.option_help import show_help

    show_help(f"{program()} {command}", (description or "").partition("\n\n")[0], *options)
    return 0


def _exit_code(error: Exception) -> int:
    if isinstance(error, UserError):
        return _mistake(str(error))
    from training.cluster.ray_session import WorkersFailedError
    from training.interruption import Interrupted
    from training.optimizer.non_finite import NonFinite

    if isinstance(error, Interrupted):
        return 128 + error.signal_number
    if isinstance(error, NonFinite | WorkersFailedError):
        print("error:", "; ".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
    else:
        traceback.print_exc()
    return 1


def _nobody_reads() -> bool:
    """Whether stdout is a pipe that was closed, as by `| head -1`; what is left to write goes nowhere then."""
    try:
        stdout = sys.stdout.fileno()
    except (OSError, ValueError):  # replaced, as by a test
        return False
    pipe = select.poll()
    pipe.register(stdout, 0)
    closed = any(event & (select.POLLERR | select.POLLHUP) for _, event in pipe.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout)
    return closed


def _mistake(message: str) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)
    return 2
