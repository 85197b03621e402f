"""Claims: when they hold, and what they refuse to judge."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.claims import Claim, describe, judge, judge_seed, scores_by_seed
from training.errors import UserError
from training.intervals import lower_bound, upper_bound

RETURN = "evaluation/return_mean"
FIVE = {1: 480.0, 2: 500.0, 3: 490.0, 4: 500.0, 5: 470.0}


def test_at_least_holds_when_the_lower_bound_reaches_the_target() -> None:
    bound = lower_bound(list(FIVE.values()))
    assert bound is not None
    verdict = judge(Claim(RETURN, ">=", bound), FIVE)
    assert verdict["holds"]
    assert verdict["bound"] == bound
    assert verdict["measured"] == 488.0
    assert verdict["seeds"] == [1, 2, 3, 4, 5]
    assert not judge(Claim(RETURN, ">=", bound + 1e-6), FIVE)["holds"]
    assert bound < 488, "the mean reaches a target that the claim does not"


def test_at_most_holds_when_the_upper_bound_reaches_the_target() -> None:
    bound = upper_bound(list(FIVE.values()))
    assert bound is not None
    assert judge(Claim(RETURN, "<=", bound), FIVE)["holds"]
    assert not judge(Claim(RETURN, "<=", bound - 1e-6), FIVE)["holds"]


def test_the_margin_is_how_much_better_than_the_target_it_must_be() -> None:
    same = dict.fromkeys(range(1, 6), 100.0)
    assert judge(Claim("m", ">=", 90, margin=10), same)["holds"]
    assert not judge(Claim("m", ">=", 90, margin=10.5), same)["holds"]
    assert judge(Claim("m", ">=", 105, margin=-5), same)["holds"]
    assert judge(Claim("m", "<=", 110, margin=10), same)["holds"]
    assert not judge(Claim("m", "<=", 110, margin=10.5), same)["holds"]
    assert judge(Claim("m", "<=", 95, margin=-5), same)["holds"]


def test_a_baseline_is_judged_by_the_paired_difference() -> None:
    """The seeds differ by hundreds, the difference hardly: only pairing shows it."""
    baseline = {seed: 100.0 * seed for seed in range(1, 6)}
    scores = {seed: 100.0 * seed + 3 + 0.1 * seed for seed in range(1, 6)}
    verdict = judge(Claim("m", ">=", baseline="other", margin=3), scores, baseline)
    assert verdict["holds"]
    assert verdict["measured"] == pytest.approx(3.3)
    assert verdict["baseline"] == "other"
    assert not judge(Claim("m", ">=", baseline="other", margin=3.3), scores, baseline)["holds"]
    assert judge(Claim("m", ">=", baseline="other", margin=-4), baseline, scores)["holds"]
    assert not judge(Claim("m", ">=", baseline="other"), baseline, scores)["holds"]


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9),
    st.floats(-1e3, 1e3),
    st.floats(-100, 100),
)
def test_at_most_is_the_mirror_image_of_at_least(values: list[float], target: float, margin: float) -> None:
    scores = dict(enumerate(values))
    mirrored = {seed: -value for seed, value in scores.items()}
    one = judge(Claim("m", ">=", target, margin=margin), scores)
    other = judge(Claim("m", "<=", -target, margin=margin), mirrored)
    assert one["bound"] is not None
    if abs(one["bound"] - (target + margin)) > 1e-9:
        assert one["holds"] == other["holds"]


def test_one_seed_is_an_indication() -> None:
    verdict = judge(Claim(RETURN, ">=", 475), {7: 475.0})
    assert verdict["holds"]
    assert verdict["interval"] is None
    assert verdict["bound"] is None
    assert "for this one seed" in describe(verdict)
    assert not judge(Claim(RETURN, ">=", 475), {7: 474.9})["holds"]


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_an_error_that_names_its_seed(score: float) -> None:
    with pytest.raises(UserError, match=r"seed 2 has evaluation/return_mean = (nan|inf)"):
        judge(Claim(RETURN, ">=", 475), {1: 500.0, 2: score, 3: 500.0})


def test_the_verdicts_on_one_seed_leave_out_what_it_cannot_judge_and_say_why() -> None:
    claims = (
        Claim(RETURN, ">=", 475),
        Claim(RETURN, ">=", baseline="other"),
        Claim("m", ">=", 1),
        Claim(RETURN, "<=", 1),
    )
    verdicts, unjudged = judge_seed(claims, 7, {"metrics": {RETURN: 480.0}, "best": {}})
    assert [(verdict["seeds"], verdict["holds"]) for verdict in verdicts] == [([7], True), ([7], False)]
    assert unjudged == {
        claims[1]: "judged by `verify`, which runs other on the same seeds",
        claims[2]: f"not judged: seed 7 has no final metric m: it measured {RETURN}",
    }


def test_a_missing_metric_is_an_error_that_names_its_seed() -> None:
    results: dict[int, Any] = {1: {"metrics": {RETURN: 1.0}}, 2: {"metrics": {"evaluation/length_mean": 1.0}}}
    with pytest.raises(UserError, match=r"seed 2 has no final metric evaluation/return_mean: .*length_mean"):
        scores_by_seed(Claim(RETURN, ">=", 475), results)


def test_final_and_best_are_kept_apart() -> None:
    results: dict[int, Any] = {1: {"metrics": {RETURN: 1.0}, "best": {RETURN: 2.0}}}
    assert scores_by_seed(Claim(RETURN, ">=", 475), results) == {1: 1.0}
    assert scores_by_seed(Claim(RETURN, ">=", 475, at="best"), results) == {1: 2.0}


def test_other_seeds_of_the_baseline_are_refused() -> None:
    with pytest.raises(UserError, match=r"seeds \[1, 2\] are paired with other's \[1, 3\]"):
        judge(Claim("m", ">=", baseline="other"), {1: 1.0, 2: 1.0}, {1: 1.0, 3: 1.0})


@pytest.mark.parametrize(
    "wrong",
    [
        {"op": ">", "target": 1.0},
        {"op": ">="},
        {"op": ">=", "target": 1.0, "baseline": "other"},
        {"op": ">=", "target": float("nan")},
        {"op": ">=", "target": 1.0, "margin": float("inf")},
        {"op": ">=", "target": 1.0, "at": "middle"},
    ],
)
def test_an_impossible_claim_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="claim"):
        Claim("m", **wrong)


def test_a_verdict_is_json_and_one_line() -> None:
    verdict = judge(Claim(RETURN, ">=", 440, margin=10, at="best"), FIVE)
    assert json.loads(json.dumps(verdict))["holds"] is True
    line = describe(verdict)
    assert line.startswith("best evaluation/return_mean >= 440 +10: holds (488, 95 % interval ")
    assert line.endswith("5 seeds)")


def test_what_an_evaluation_measured_that_was_cut_short_is_not_judged() -> None:
    claim = Claim("evaluation/return_mean", ">=", target=10.0)
    cut = {"evaluation/return_mean": 12.0, "evaluation/episodes": 4.0, "evaluation/episodes_left_out": 96.0}
    result = {"metrics": cut, "best": {}}
    verdicts, unjudged = judge_seed([claim], 1, result)
    assert verdicts == []
    assert "4 of 100 episodes were played, as evaluation.max_env_steps allows" in unjudged[claim]
    other = Claim("training/regret", "<=", target=10.0)
    verdicts, _ = judge_seed([other], 1, {"metrics": {**cut, "training/regret": 3.0}, "best": {}})
    assert verdicts[0]["holds"]
