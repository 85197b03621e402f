"""Complete commands, experiments, runs and options in the shell: `source <(python -m experiments completion bash)`.

No library is used: those there are (argcomplete, shtab) read an argparse parser, which there is none of, and would
import every experiment, and torch with it, at each press of the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from commands.command_line import first_word, print_help, require_nothing, wants_help
from commands.shared.described import kept
from reports.sources import Source, config_fields
from training.errors import UserError
from training.experiments import constant_of, find_experiments, find_scripts
from training.familiar import spelled
from training.options import members
from training.run.runs import LATEST, run_names

TAKES = "SHELL"
WORDS = "words"
"""What the scripts ask for instead of a shell: the words that the last one, which is not finished, may become."""
SHELLS = {
    "bash": """\
_experiments() {
    [[ ${COMP_WORDS[1]} == -m && ${COMP_WORDS[2]} == experiments ]] || return
    local IFS=$'\\n'
    COMPREPLY=($("${COMP_WORDS[0]}" -m experiments completion words "${COMP_WORDS[@]:3:COMP_CWORD-2}" 2>/dev/null))
}
complete -o default -F _experiments python python3""",
    "zsh": """\
_experiments() {
    [[ ${words[2]} == -m && ${words[3]} == experiments ]] || { _default; return }
    local -a found
    found=(${(f)"$(${words[1]} -m experiments completion words "${(@)words[4,CURRENT]}" 2>/dev/null)"})
    compadd -a found
}
compdef _experiments python python3""",
}
OPTIONS = {"train": (("shared/sources.py", "SourceOptions"), ("shared/batch.py", "BatchOptions"))}
"""Where a command has options besides those in its own file."""


def main(argv: Sequence[str], package: str) -> int:
    """Prints the script for bash or zsh by which `python -m experiments` is completed with the tabulator key."""
    if wants_help(argv[:1]):
        return print_help("completion SHELL", main.__doc__)
    shell = first_word(argv, "completion", TAKES)
    if shell == WORDS:
        *before, begun = argv[1:] or [""]
        print("\n".join(word for word in candidates(before, package) if word.startswith(begun)))
        return 0
    if shell not in SHELLS:
        raise UserError(f"unknown shell {shell}: there are {', '.join(SHELLS)}")
    require_nothing(argv[1:], "completion")
    print(SHELLS[shell])
    return 0


def candidates(before: Sequence[str], package: str) -> list[str]:
    """What may come after the words of a command line, which begin with the command."""
    commands = find_scripts("commands", "TAKES")
    if not before:
        return list(commands)
    if before[0] not in commands:
        return []
    what = constant_of(commands[before[0]], "TAKES")
    if len(before) == 1 and what:
        return _first_words(what, package)
    known = kept(before[1], package) if what == "NAME" else None
    types = known.types if known else {}
    asked = before[-1].removeprefix("--").replace("-", "_")
    values = _values(types[asked]) if asked in types else []
    return values or [*_own_options(before[0], commands[before[0]]), *map(spelled, types), "--help"]


def _first_words(what: str, package: str) -> list[str]:
    if what == "NAME":
        return list(find_experiments(package))
    if what.strip("[]") == "RUN":
        return [LATEST, *run_names()]
    return list(SHELLS) if what == TAKES else []


def _own_options(command: str, script: Path) -> Iterable[str]:
    """The options of a command, read from its source: importing some of them takes long."""
    folder = script.parent
    for file, name in ((script.name, "Options"), *OPTIONS.get(command, ())):
        yield from (spelled(field.name) for field in config_fields(Source(folder, Path(file)), name))


def _values(kind: Any) -> list[str]:
    """The words that an option takes, where these are few."""
    words: list[str] = []
    for member in members(kind):
        if get_origin(member) is Literal:
            words += map(str, get_args(member))
        elif member is bool:
            words += ["true", "false"]
    return words
