"""Ends, rewards, masks, speed and memory are judged by what random play noted."""

from __future__ import annotations

import pytest
from gymnasium import spaces

from envs.checks.episodes import check_ends, check_memory, check_resume, check_rewards, check_seeds, check_speed
from envs.checks.findings import Finding
from envs.checks.sample import Ended, Sample
from envs.config import EnvConfig

CARTPOLE = EnvConfig("CartPole-v1", backend="in-process")


def sample(**noted: object) -> Sample:
    made = Sample(spaces.Discrete(2), spaces.Discrete(2), steps=1_000, step_seconds=0.1)
    vars(made).update(noted)
    return made


def levels(findings: object) -> list[str]:
    return [one.level for one in findings if isinstance(one, Finding)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ([Ended(length, 1.0, True, False) for length in (3, 5, 9)], ["ok"]),  # noqa: FBT003
        ([Ended(7, 1.0, True, False)] * 3, ["ok", "advice"]),  # noqa: FBT003 - as by a limit of its own
        ([Ended(7, 1.0, False, True)] * 3, ["ok"]),  # noqa: FBT003
        ([Ended(500, 1.0, True, True)] * 2, ["ok", "advice"]),  # noqa: FBT003 - terminated at the limit
        ([], ["ok"]),  # there is a limit
    ],
)
def test_a_limit_truncates(ended: list[Ended], expected: list[str]) -> None:
    assert levels(check_ends(CARTPOLE, sample(ended=ended))) == expected


def test_speed_memory_and_rewards_have_bounds() -> None:
    assert levels(check_speed(sample())) == ["ok"]
    (slow,) = check_speed(sample(step_seconds=100.0))
    assert (slow.level, "10 env steps a second in one process: 1,000,000 take 28 hours" in slow.says) == (
        "advice",
        True,
    )
    assert levels(check_memory(sample(grown_bytes=2**20, grown_steps=9_000))) == ["ok"]
    assert levels(check_memory(sample(grown_bytes=2**30, grown_steps=9_000))) == ["advice"]
    (few,) = check_memory(sample())
    assert few.says.startswith("not measured")
    assert [levels(check_rewards(sample(rewards=rewards))) for rewards in ([0.0, 1.0], [0.0], [1e4], [])] == [
        ["ok"],
        ["advice"],
        ["advice"],
        [],
    ]


def test_seeds_and_resume_of_a_sound_environment_are_ok_and_hidden_randomness_is_wrong() -> None:
    assert levels(check_seeds(CARTPOLE, seed=1)) == ["ok"]
    assert levels(check_resume(CARTPOLE, seed=1, seconds=600)) == ["ok"]
    elsewhere = EnvConfig("tests.support.toy_envs:DrawsElsewhere-v0")
    assert levels(check_seeds(elsewhere, seed=1)) == ["wrong"]
    assert levels(check_resume(elsewhere, seed=1, seconds=600)) == ["wrong"]
