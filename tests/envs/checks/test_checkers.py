"""What the libraries' checkers say is said once, and not where it was found already."""

from __future__ import annotations

from envs.checks.checkers import check_with_libraries
from envs.checks.findings import Finding
from envs.config import EnvConfig


def test_a_sound_environment_has_nothing_more_to_hear() -> None:
    (one,) = check_with_libraries(EnvConfig("CartPole-v1"), [])
    assert one.level == "ok"


def test_what_they_refuse_is_told_unless_it_was_found_before() -> None:
    faulty = EnvConfig("tests.support.toy_envs:Faulty-v0", kwargs={"how": "returns", "value": 3})  # by its reset
    new = check_with_libraries(faulty, [])
    assert {one.says.partition(": ")[0] for one in new} <= {"Gymnasium's checker", "Stable-Baselines3's checker"}
    assert "wrong" in {one.level for one in new}
    before = Finding("wrong", "contract", "it returned 3")
    assert "wrong" not in {one.level for one in check_with_libraries(faulty, [before])}


def test_nested_observations_are_no_matter_to_us_and_are_advice() -> None:
    new = check_with_libraries(EnvConfig("tests.support.toy_envs:Nested-v0"), [])
    assert "wrong" not in {one.level for one in new}
