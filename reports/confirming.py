"""A verdict on record that is confirmed for newer code: one seed is trained again and ends to the bit as before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reports.results import RESULTS
from training.claims import Claim, claim_of
from training.errors import UserError
from training.run.files import read_json
from training.run.provenance import describe_environment, hash_of, sources, uncommitted


def record_to_confirm(name: str, claims: Sequence[Claim], own_config: bool) -> dict[str, Any]:
    """The verdict on record, of these claims and of a source that can be found.

    Raises:
        UserError: there is none, or only one of other claims, of another config or of uncommitted source.
    """
    file = RESULTS / f"{name}.json"
    record = read_json(file)
    if not record:
        raise UserError(f"{file} is missing: there is no verdict to confirm, make it with verify {name}")
    if not own_config:
        raise UserError(f"--confirm takes no options of {name}: the verdict on record is of its own config")
    if [claim_of(verdict) for verdict in record["claims"]] != list(claims):
        raise UserError(f"{file} is of other claims than {name} makes now: judge them with verify {name}")
    if record["dirty"] or record["source_hash"] is None:
        raise UserError(f"{file} is of uncommitted or unknown source: train all seeds with verify {name}")
    return record


def first_on_record(record: Mapping[str, Any], group: str) -> int:
    """Which of a group's seeds is the first that did not fail."""
    return next((number for number, figures in enumerate(record["runs"][group]) if "failed" not in figures), 0)


def confirmed(report: Mapping[str, Any], retrained: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The report as one of the source as it is now, with which one seed of each group ended to the bit as on record.

    Args:
        report: an earlier one.
        retrained: the figures of that seed, of the experiment and of each of its baselines.

    Raises:
        UserError: a seed ended otherwise, which the line names.
    """
    for group, figures in retrained.items():
        recorded = next(of for of in report["runs"][group] if of["seed"] == figures["seed"])
        now = json.loads(json.dumps(figures))
        if other := [name for name in now if name != "training_time_s" and now[name] != recorded.get(name)]:
            raise UserError(
                f"{group} seed {figures['seed']} ends otherwise than on record ({', '.join(other)}): "
                f"what it rests on has changed, train all seeds with verify {report['experiment']}"
            )
    environment, files = describe_environment(), sources(report["experiment"])
    return {
        **report,
        "confirmed": {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "seeds": {group: figures["seed"] for group, figures in retrained.items()},
            "commit": environment["commit"],
            "dirty": uncommitted(files),
            "source_hash": hash_of(files),
        },
    }
