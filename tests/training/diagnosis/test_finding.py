"""A finding names the options of the run, what they are and what to try instead."""

from __future__ import annotations

from training.diagnosis.finding import Evidence, Remedy, Symptom, found
from training.diagnosis.record import Record

CONFIG = {"agent": {"clip_range": 0.2, "actor_optimizer": {"learning_rate": 0.01}, "critic": {"epochs": 8}}}


def symptom(*remedies: Remedy, seen: bool = True) -> Symptom:
    evidence = Evidence("x is 3.", 10, 2000)
    return Symptom("odd", "It is odd.", "x", remedies, lambda _: evidence if seen else None)


def tries(*remedies: Remedy) -> tuple[str, ...]:
    finding = found(symptom(*remedies), Record([], CONFIG, {}))
    assert finding is not None
    return finding.tries


def test_a_remedy_names_the_option_its_better_value_and_what_it_is() -> None:
    assert tries(
        Remedy("learning_rate", "smaller steps", times=0.1),
        Remedy("epochs", times=0.5),
        Remedy("", "wait"),
    ) == (
        "--agent.actor-optimizer.learning-rate 0.001 (now 0.01): smaller steps",
        "--agent.critic.epochs 4 (now 8)",
        "wait",
    )


def test_what_a_run_lacks_or_has_already_is_no_remedy() -> None:
    assert tries(Remedy("gamma", to=0.99), Remedy("clip_range", to=0.2)) == ()


def test_the_lines_say_what_is_wrong_by_what_it_is_seen_and_when() -> None:
    finding = found(symptom(Remedy("clip_range", to=0.1)), Record([], CONFIG, {}))
    assert finding is not None
    assert finding.lines("diagnosis") == [
        "diagnosis: odd: It is odd. x is 3. (updates 10 to 2,000)",
        "  try --agent.clip-range 0.1 (now 0.2)",
    ]


def test_what_is_not_seen_is_no_finding() -> None:
    assert found(symptom(seen=False), Record([], {}, {})) is None
