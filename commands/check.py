"""Check an environment before anything is trained in it: seeds, resume, spaces, ends, rewards, speed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, make_dataclass
from typing import Any

from commands.command_line import first_word, print_help, wants_help
from envs.config import EnvConfig
from training.options import parse_options

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
    from envs.checks.findings import LEVELS

    found = check(given.env, seed=options.seed)
    grouped = {level: [one for one in found if one.level == level] for level in LEVELS}
    if options.json:
        print(json.dumps({"env": given.env.id, **{level: [asdict(one) for one in grouped[level]] for level in LEVELS}}))
    else:
        for level, findings in grouped.items():
            if findings:
                print(level)
            for one in findings:
                print(f"  {one.about}: {one.says}")
                if one.change:
                    print(f"    -> {one.change}")
        print(f"{given.env.id}: " + ", ".join(f"{len(findings)} {level}" for level, findings in grouped.items()))
    return 1 if grouped["wrong"] else 0


def _options_of(env: EnvConfig) -> Any:
    """The environment's options under the names that they have in an experiment: --env.kwargs and so on."""
    return make_dataclass("Given", [("env", EnvConfig, env)], frozen=True)()
