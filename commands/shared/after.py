"""What to do next with a run that is finished."""

from __future__ import annotations

import sys
from pathlib import Path

from training.errors import UserError
from training.experiments import find_scripts
from training.program import program
from training.run.runs import LATEST, find_run

NEXT = (
    ("report", "{run} --open"),
    ("play", "{run}"),
    ("compare", "{experiment}"),
    ("plot", "{experiment}"),
)
"""Commands that are about a finished run; what there is of them is named."""
ONLY_FOR_POLICIES = ("play",)
MOST = 3


def print_next(run: Path, experiment: str, *, has_policy: bool) -> None:
    """Names the commands that come next, to a person: in a terminal, and never in a pipe."""
    if not sys.stdout.isatty():
        return
    word = LATEST if _is_latest(run) else str(run)
    known = find_scripts("commands", "TAKES")
    verbs = [(verb, rest) for verb, rest in NEXT if verb in known and (has_policy or verb not in ONLY_FOR_POLICIES)]
    for verb, rest in verbs[:MOST]:
        print(f"next: {program()} {verb} {rest.format(run=word, experiment=experiment)}")


def _is_latest(run: Path) -> bool:
    try:
        return find_run(LATEST).resolve() == run.resolve()
    except UserError:  # it was written elsewhere, and runs/ has none
        return False
