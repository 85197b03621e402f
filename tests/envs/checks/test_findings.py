"""What an environment raises is its own fault, with the place in its file."""

from __future__ import annotations

from envs.checks.findings import Finding, catching, place_of
from envs.vectors.vector import EnvFault
from training.errors import UserError


def broken() -> None:
    raise ValueError("two\nlines")


def test_what_is_raised_is_a_finding_with_its_place_and_said_once() -> None:
    found: list[Finding] = []
    for about in ("contract", "resume"):
        with catching(found, about, seconds=60):
            broken()
    (one,) = found
    assert (one.level, one.about, one.says) == ("wrong", "contract", "it raised ValueError: two lines")
    assert one.change == f"see {__file__}:{broken.__code__.co_firstlineno + 1}"


def test_a_fault_and_a_mistake_are_told_as_they_are() -> None:
    found: list[Finding] = []
    with catching(found, "seeds", seconds=60):
        raise EnvFault("env 0: it is gone")
    with catching(found, "spaces", "take another", seconds=60):
        raise UserError("no such thing")
    assert [(one.says, one.change) for one in found] == [
        ("env 0: it is gone", ""),
        ("no such thing", "take another"),
    ]


def test_where_nobody_elses_code_ran_there_is_no_place() -> None:
    assert place_of(ValueError("never raised")) is None
