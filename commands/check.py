"""Check an environment before anything is trained in it: seeds, resume, spaces, ends, rewards, speed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, make_dataclass
from typing import TYPE_CHECKING, Any

from commands.command_line import first_word, print_help, wants_help
from envs.config import EnvConfig
from training.options import parse_options

if TYPE_CHECKING:
    from envs.checks.findings import Finding

TAKES = "ENV"


@dataclass(frozen=True)
class Options:
    """What is asked."""

    seed: int = 1
    json: bool = False
    """Print one JSON object instead of words."""


def main(argv: Sequence[str], _: str) -> int:
    """Plays an environment and says what is ok, what would be better and what is wrong, each with what to change."""
    if wants_help(argv):
        return print_help("check ENV", main.__doc__, Options(), _options_of(EnvConfig("CartPole-v1")))
    env = EnvConfig(first_word(argv, "check", TAKES))
    options, given = parse_options(argv[1:], Options(), _options_of(env))

    from envs.checks.check import check

    found = check(given.env, seed=options.seed)
    if options.json:
        levels = {level: [asdict(one) for one in ones] for level, ones in _by_level(found).items()}
        print(json.dumps({"env": given.env.id, **levels}))
    else:
        for line in told(given.env.id, found):
            print(line)
    return 1 if _by_level(found)["wrong"] else 0


def told(name: str, found: Sequence[Finding]) -> Iterator[str]:
    """What was found of the environment of this name, as lines."""
    grouped = _by_level(found)
    for level, findings in grouped.items():
        if findings:
            yield level
        for one in findings:
            yield f"  {one.about}: {one.says}"
            if one.change:
                yield f"    -> {one.change}"
    yield f"{name}: " + ", ".join(f"{len(findings)} {level}" for level, findings in grouped.items())


def _by_level(found: Sequence[Finding]) -> dict[str, list[Finding]]:
    from envs.checks.findings import LEVELS

    return {level: [one for one in found if one.level == level] for level in LEVELS}


def _options_of(env: EnvConfig) -> Any:
    """The environment's options under the names that they have in an experiment: --env.kwargs and so on."""
    return make_dataclass("Given", [("env", EnvConfig, env)], frozen=True)()
