"""Claims: when they hold, and what they refuse to judge."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.claims import Claim, Claims, about, claim_of, describe, judge, judge_seed, scores_by_seed
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
    one = {1: 100.0}
    assert judge(Claim("m", ">=", 90, margin=10), one)["holds"]
    assert not judge(Claim("m", ">=", 90, margin=10.5), one)["holds"]
    assert judge(Claim("m", ">=", 105, margin=-5), one)["holds"]
    assert judge(Claim("m", "<=", 110, margin=10), one)["holds"]
    assert not judge(Claim("m", "<=", 110, margin=10.5), one)["holds"]
    assert judge(Claim("m", "<=", 95, margin=-5), one)["holds"]


def test_a_baseline_is_judged_by_the_paired_difference() -> None:
    """The seeds differ by hundreds, the difference hardly: only pairing shows it."""
    baseline = {seed: 100.0 * seed for seed in range(1, 6)}
    scores = {seed: 100.0 * seed + 3 + 0.1 * seed for seed in range(1, 6)}
    verdict = judge(Claim("m", ">=", baseline="other", margin=3), scores, baseline)
    assert verdict["holds"]
    assert verdict["measured"] == pytest.approx(3.3)
    assert claim_of(verdict).baseline == "other"
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
    if one["bound"] is None:  # they do not differ
        assert other["bound"] is None
        return
    if abs(one["bound"] - (target + margin)) > 1e-6:
        assert one["holds"] == other["holds"]


def test_one_seed_is_an_indication() -> None:
    verdict = judge(Claim(RETURN, ">=", 475), {7: 475.0})
    assert verdict["holds"]
    assert verdict["interval"] is None
    assert verdict["bound"] is None
    assert "for this one seed" in describe(verdict)
    assert not judge(Claim(RETURN, ">=", 475), {7: 474.9})["holds"]


def test_the_mean_of_many_seeds_is_not_their_interquartile_mean() -> None:
    """Two of twenty collapsed: the mean is 451, whatever the middle half says."""
    scores = {seed: 500.0 if seed > 2 else 9.0 for seed in range(1, 21)}
    verdict = judge(Claim(RETURN, ">=", 475, seeds=20), scores)
    assert verdict["measured"] == pytest.approx(450.9)
    assert not verdict["holds"]
    middle = judge(Claim(RETURN, ">=", 475, of="iqm", seeds=20), scores)
    assert (middle["measured"], middle["holds"]) == (500, True)
    assert middle["text"] == "evaluation/return_mean >= 475 (interquartile mean)"


def test_seeds_that_do_not_differ_are_counted() -> None:
    """No variance is no certainty: five of five say no more than that 55 % of all seeds reach it."""
    same = dict.fromkeys(range(101, 106), 500.0)
    verdict = judge(Claim(RETURN, ">=", 475), same)
    assert (verdict["interval"], verdict["bound"], verdict["holds"]) == (None, None, False)
    assert describe(verdict) == f"{RETURN} >= 475: does not hold (500 on each: 5 of 5 reach it, 5 seeds)"
    assert judge(Claim(RETURN, ">=", 475, seeds=9), dict.fromkeys(range(101, 110), 500.0))["holds"]


@pytest.mark.parametrize(("reached", "holds"), [(20, True), (18, True), (17, False)])
def test_success_is_the_share_of_seeds_that_reach_the_target(reached: int, holds: bool) -> None:
    scores = {100 + seed: 500.0 if seed <= reached else 9.0 for seed in range(1, 21)}
    verdict = judge(Claim(RETURN, ">=", 475, of="success", seeds=20), scores)
    assert verdict["holds"] == holds
    assert verdict["reached"] == reached
    assert verdict["measured"] == reached / 20
    assert verdict["text"] == "evaluation/return_mean >= 475 on 70 % of seeds"
    mirrored = {seed: -score for seed, score in scores.items()}
    assert judge(Claim(RETURN, "<=", -475, of="success", seeds=20), mirrored)["reached"] == reached


def test_success_says_how_many_seeds_and_how_sure_that_is() -> None:
    verdict = judge(Claim(RETURN, ">=", 475, of="success", seeds=20), dict.fromkeys(range(101, 121), 500.0))
    assert describe(verdict) == (
        f"{RETURN} >= 475 on 70 % of seeds: holds (20 of 20 reach it: at least 86 % of all, 20 seeds;"
        " 96 % chance to hold on as many others)"
    )


def test_seeds_that_split_one_data_set_are_less_sure() -> None:
    scores = {101: 0.90, 102: 0.91, 103: 0.92, 104: 0.91, 105: 0.91}
    alone = judge(Claim("m", ">=", 0.9), scores)
    split = judge(Claim("m", ">=", 0.9, resplit=0.25), scores)
    assert alone["bound"] is not None
    assert split["bound"] is not None
    assert split["bound"] < alone["bound"]
    assert (alone["holds"], split["holds"]) == (True, False)


def test_a_verdict_says_how_likely_it_is_to_hold_again() -> None:
    verdict = judge(Claim(RETURN, ">=", 470), FIVE)
    assert verdict["holds"]
    assert verdict["again"] is not None
    assert 0.5 < verdict["again"] < 0.95
    assert verdict["seeds_for_95"] is not None
    assert verdict["seeds_for_95"] > 5
    assert describe(verdict).endswith(f" chance to hold on as many others, 95 % takes {verdict['seeds_for_95']})")


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_a_failed_claim_that_names_its_seed(score: float) -> None:
    verdict = judge(Claim(RETURN, ">=", 475), {1: 500.0, 2: score, 3: 500.0})
    assert (verdict["holds"], verdict["measured"], verdict["bound"]) == (False, None, None)
    assert verdict["failed"] == {"2": f"{RETURN} = {score}"}
    assert describe(verdict) == f"{RETURN} >= 475: does not hold (seed 2 failed: {RETURN} = {score})"
    with pytest.raises(ValueError, match="JSON compliant"):
        json.dumps(score, allow_nan=False)
    json.dumps(verdict, allow_nan=False)


def test_a_seed_that_failed_is_a_failed_claim_of_the_baseline_too() -> None:
    verdict = judge(Claim(RETURN, ">=", 475), {1: 500.0, 3: 500.0}, failed={2: "RuntimeError: the bridge fell"})
    assert (verdict["holds"], verdict["seeds"]) == (False, [1, 2, 3])
    paired = judge(Claim("m", ">=", baseline="other"), {1: 2.0, 2: 2.0}, {1: 1.0}, failed={2: "killed"})
    assert (paired["holds"], paired["failed"]) == (False, {"2": "killed"})


def test_the_verdicts_on_one_seed_leave_out_what_it_cannot_judge_and_say_why() -> None:
    claims = (
        Claim(RETURN, ">=", 475),
        Claim(RETURN, ">=", baseline="other"),
        Claim("m", ">=", 1),
        Claim(RETURN, "<=", 1),
    )
    judged = judge_seed(Claims(claims), 7, {"metrics": {RETURN: 480.0}, "best": {}})
    assert [(verdict["seeds"], verdict["holds"]) for verdict in judged.verdicts] == [([7], True), ([7], False)]
    assert judged.unjudged == {
        str(claims[1]): "judged by `verify`, which runs other on the same seeds",
        str(claims[2]): f"not judged: seed 7 has no final metric m: it measured {RETURN}",
    }


def test_a_run_of_another_problem_is_not_judged() -> None:
    claims = Claims((Claim(RETURN, ">=", -170),), "env.id is not Pendulum-v1")
    judged = judge_seed(claims, 7, {"metrics": {RETURN: 480.0}, "best": {}})
    assert judged.verdicts == []
    assert judged.unjudged == {f"{RETURN} >= -170": "not judged: env.id is not Pendulum-v1"}


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("env.id", True),
        ("env.kwargs", True),
        ("env.time_limit", True),
        ("evaluation.final_episodes", True),
        ("split.test", True),
        ("offline.dataset", True),
        ("labelled", True),
        ("env.backend", False),
        ("evaluation.every.count", False),
        ("agent.gamma", False),
        ("env_steps", False),
        ("num_envs", False),
        ("policy.network.hidden", False),
    ],
)
def test_what_a_claim_is_about(key: str, other: bool) -> None:
    assert about({key: 2}, {key: 1}) == (f"{key} is not 1" if other else None)


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
        {"op": ">=", "target": 1.0, "of": "median"},
        {"op": ">=", "target": 1.0, "seeds": 1},
        {"op": ">=", "target": 1.0, "seeds": 9, "of": "iqm"},
        {"op": ">=", "target": 1.0, "seeds": 8, "of": "success"},
        {"op": ">=", "target": 1.0, "seeds": 20, "of": "success", "share": 1.0},
        {"op": ">=", "target": 1.0, "seeds": 20, "of": "success", "resplit": 0.2},
        {"op": ">=", "target": 1.0, "resplit": -0.2},
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
    assert line.endswith(" chance to hold on as many others, 95 % takes 7)") or "5 seeds; " in line


def test_what_an_evaluation_measured_that_was_cut_short_is_not_judged() -> None:
    claim = Claim("evaluation/return_mean", ">=", target=10.0)
    cut = {"evaluation/return_mean": 12.0, "evaluation/episodes": 4.0, "evaluation/episodes_left_out": 96.0}
    judged = judge_seed(Claims([claim]), 1, {"metrics": cut, "best": {}})
    assert judged.verdicts == []
    assert "4 of 100 episodes were played, as evaluation.max_env_steps allows" in judged.unjudged[str(claim)]
    other = Claim("training/regret", "<=", target=10.0)
    judged = judge_seed(Claims([other]), 1, {"metrics": {**cut, "training/regret": 3.0}, "best": {}})
    assert judged.verdicts[0]["holds"]
