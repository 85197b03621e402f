"""Claims: what an experiment promises to reach, judged by the pessimistic confidence bound over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypedDict

from training.errors import UserError, require
from training.intervals import (
    Estimand,
    chance_to_hold_again,
    estimate,
    interval,
    lower_bound,
    seeds_to_hold_again,
    upper_bound,
)

FIRST_SEED = 101
"""`verify` trains this seed and those that follow. 1 to 99 are for development: nothing may be chosen on others."""
CONFIDENT = 0.95
"""The chance to hold again that a number of seeds should give."""
PROBLEM = (
    *("env", "evaluation", "data", "dataset", "split", "corpus", "files", "mixture", "demonstrations"),
    *("labelled", "degrees", "images_each", "clusters", "frames", "adaptation_rows"),
)
"""The parts of a config that say what is solved and how it is measured; all others say how it is learned."""
MANNER = ("every", "num_envs", "minibatch_size", "backend", "fresh_instance", "step_timeout_s")
"""What of such a part changes nothing in what is solved or measured."""


def percent(share: float) -> str:
    """A share as docs and commands show it."""
    return f"{100 * share:.0f} %"


@dataclass(frozen=True)
class Claim:
    """A metric is at least, or at most, a target or a baseline's.

    With `>=` and a target: the metric is at least `target + margin`. With `>=` and a baseline: the metric minus the
    baseline's of the same seed is at least `margin`. `<=` is the mirror image. So the margin is how much better than
    the reference it must be; a negative one says how much worse it may be.
    """

    metric: str
    op: Literal[">=", "<="]
    target: float | None = None
    baseline: str | None = None
    """The name of another experiment, which runs on the same seeds."""
    margin: float = 0.0
    at: Literal["final", "best"] = "final"
    """Of the policy at the end, or of the best checkpoint."""
    of: Estimand = "mean"
    """What is said of all seeds: their mean, their interquartile mean, or that at least `share` of them reach it."""
    seeds: int = 5
    """On how many it is judged, once: 101 and those that follow."""
    share: float = 0.7
    """Of all seeds, for `success`."""
    resplit: float = 0.0
    """The samples to test on for each one to learn from, where every seed splits the same samples anew; see
    `training.intervals`."""

    def __post_init__(self) -> None:
        require(self.op in (">=", "<="), "claim.op", self.op, "'>=' or '<='")
        require(self.at in ("final", "best"), "claim.at", self.at, "'final' or 'best'")
        require(self.of in ("mean", "iqm", "success"), "claim.of", self.of, "'mean', 'iqm' or 'success'")
        require(math.isfinite(self.margin), "claim.margin", self.margin, "a finite number")
        one = (self.target is None) != (self.baseline is None)
        require(one, "claim", self, "either a target or a baseline")
        if self.target is not None:
            require(math.isfinite(self.target), "claim.target", self.target, "a finite number")
        require(0 < self.share < 1, "claim.share", self.share, "a number in (0, 1)")
        least = self.fewest_seeds
        require(self.seeds >= least, "claim.seeds", self.seeds, f"at least {least}: fewer never hold")
        require(self.resplit >= 0, "claim.resplit", self.resplit, "at least 0")
        independent = self.of == "mean" or not self.resplit
        require(independent, "claim.resplit", self.resplit, "0: only a mean can be corrected for it")

    @property
    def fewest_seeds(self) -> int:
        """With fewer it could not hold, or its interval would not be what it says."""
        if self.of == "success":
            return math.ceil(math.log(1 - CONFIDENT) / math.log(self.share))
        return 10 if self.of == "iqm" else 2

    def __str__(self) -> str:
        reference = f"{self.target:g}" if self.target is not None else str(self.baseline)
        margin = self.margin if self.op == ">=" else -self.margin
        best = "best " if self.at == "best" else ""
        kind = {"mean": "", "iqm": " (interquartile mean)", "success": f" on {percent(self.share)} of seeds"}[self.of]
        return f"{best}{self.metric} {self.op} {reference}{f' {margin:+g}' if margin else ''}{kind}"


@dataclass(frozen=True)
class Claims:
    """The claims of an experiment about a run of it, which may be about another problem than they are."""

    claims: Sequence[Claim] = ()
    differs: str | None = None
    """What the run has other than what the claims are about, as one line; None: nothing."""


NO_CLAIMS = Claims()


class Verdict(TypedDict):
    """A claim and what came of it, as it stands in `result.json` and in docs/results."""

    claim: dict[str, Any]
    """The fields of the `Claim`."""
    text: str
    """The claim in words."""
    seeds: list[int]
    measured: float | None
    """Over the seeds what the claim is `of`; with a baseline, of the paired differences. None when a seed failed."""
    reached: int
    """The number of seeds each of which reaches the target, or its baseline, by itself."""
    interval: tuple[float, float] | None
    """Two-sided, 95 %. None for one seed, for seeds that do not differ, and when a seed failed."""
    bound: float | None
    """One-sided, 95 %, on the unfavourable side: this is what must reach the target. None as above."""
    failed: dict[str, str]
    """The seeds that measured nothing, and why."""
    holds: bool
    """With one seed only an indication: the measured value itself reaches the target."""
    again: float | None
    """The chance that as many other seeds hold; None where these do not."""
    seeds_for_95: int | None
    """How many other seeds hold with a chance of 95 %; None where not even very many do."""


def about(changed: Mapping[str, Any], default: Mapping[str, Any]) -> str | None:
    """What of the changed values makes it another problem than the default's, as one line; None: nothing does.

    Args:
        changed: the values that are not the experiment's own, by dotted key.
        default: the experiment's own values, by dotted key.
    """
    for key in changed:
        parts = key.split(".")
        if any(part in PROBLEM for part in parts) and not any(part in MANNER for part in parts):
            return f"{key} is not {default.get(key)}"
    return None


def judge(
    claim: Claim,
    scores: Mapping[int, float],
    baseline: Mapping[int, float] | None = None,
    failed: Mapping[int, str] | None = None,
) -> Verdict:
    """The verdict on scores by seed. A seed that failed, or whose score is no finite number, is a failed claim.

    Args:
        claim: what is claimed.
        scores: the claim's metric of every seed that came to its end, see `scores_by_seed`.
        baseline: the same of the baseline, for the same seeds; only and always for a claim with a baseline.
        failed: the other seeds, and why they have no score; those of the baseline too.

    Raises:
        UserError: a seed that the baseline lacks.
    """
    assert (baseline is None) == (claim.baseline is None), "a baseline's scores belong to a claim with a baseline"
    why = dict(failed or {})
    for name, measured in ((claim.metric, scores), (f"{claim.metric} of {claim.baseline}", baseline or {})):
        for seed, score in measured.items():
            if not math.isfinite(score):
                why.setdefault(seed, f"{name} = {score}")
    sound = [seed for seed in sorted(scores) if seed not in why]
    if baseline is None:
        judged, reference = [scores[seed] for seed in sound], claim.target or 0.0
    else:
        if sorted(set(baseline) - set(why)) != sound:
            raise UserError(f"seeds {sound} are paired with {claim.baseline}'s {sorted(baseline)}: take the same seeds")
        judged, reference = [scores[seed] - baseline[seed] for seed in sound], 0.0
    verdict: Verdict = {
        "claim": asdict(claim),
        "text": str(claim),
        "seeds": sorted({*scores, *why}),
        "measured": None,
        "reached": sum(_reaches(claim, score, reference) for score in judged),
        "interval": None,
        "bound": None,
        "failed": {str(seed): why[seed] for seed in sorted(why)},
        "holds": False,
        "again": None,
        "seeds_for_95": None,
    }
    return verdict if why else _measured(claim, verdict, judged, reference)


def _measured(claim: Claim, verdict: Verdict, judged: Sequence[float], reference: float) -> Verdict:
    """The verdict with what the scores of all seeds say."""
    outcomes = [float(_reaches(claim, score, reference)) for score in judged]
    several = len(judged) > 1
    if claim.of == "success":
        bound = lower_bound(outcomes, "success")
        holds = bound is not None and bound >= claim.share if several else bool(outcomes[0])
        measured, both, bound = estimate(outcomes), interval(outcomes, "success"), bound if several else None
        shown, threshold = outcomes, claim.share
    else:
        measured = estimate(judged, claim.of)
        side = lower_bound if claim.op == ">=" else upper_bound
        bound = side(judged, claim.of, resplit=claim.resplit)
        both = interval(judged, claim.of, resplit=claim.resplit)
        if bound is not None or not several:
            holds = _reaches(claim, measured if bound is None else bound, reference)
        else:  # nothing varies: what is known is that so many of so many reach it
            share = lower_bound(outcomes, "success")
            holds = share is not None and share >= claim.share
        shown = [_over(claim, score, reference) for score in judged]
        threshold = 0.0
    verdict.update({"measured": measured, "interval": both if several else None, "bound": bound, "holds": holds})
    if holds and bound is not None:
        how: dict[str, Any] = {"of": claim.of, "resplit": claim.resplit}
        verdict["again"] = round(chance_to_hold_again(shown, threshold, len(judged), **how), 3)
        verdict["seeds_for_95"] = seeds_to_hold_again(shown, threshold, chance=CONFIDENT, **how)
    return verdict


def _over(claim: Claim, score: float, reference: float) -> float:
    """How far the score is on the claimed side of what it must reach."""
    return score - (reference + claim.margin) if claim.op == ">=" else reference - claim.margin - score


def _reaches(claim: Claim, score: float, reference: float) -> bool:
    return _over(claim, score, reference) >= 0


@dataclass(frozen=True)
class Judged:
    """What the claims say about one run: verdicts, which are indications, and why the other claims have none."""

    verdicts: list[Verdict] = field(default_factory=list)
    unjudged: dict[str, str] = field(default_factory=dict)
    """By the claim in words."""


def judge_seed(claims: Claims, seed: int, result: Mapping[str, Any]) -> Judged:
    """The verdicts on one seed by its `result.json`."""
    found = Judged()
    for claim in claims.claims:
        if claims.differs is not None:
            found.unjudged[str(claim)] = f"not judged: {claims.differs}"
        elif claim.baseline is not None:
            found.unjudged[str(claim)] = f"judged by `verify`, which runs {claim.baseline} on the same seeds"
        else:
            try:
                found.verdicts.append(judge(claim, scores_by_seed(claim, {seed: result})))
            except UserError as error:
                found.unjudged[str(claim)] = f"not judged: {error}"
    return found


def scores_by_seed(claim: Claim, results: Mapping[int, Mapping[str, Any]]) -> dict[int, float]:
    """The claim's metric from the `result.json` of every seed.

    Raises:
        UserError: a seed has no such metric, or its evaluation was cut short.
    """
    scores = {}
    for seed, result in results.items():
        measured = result["metrics" if claim.at == "final" else "best"]
        if claim.metric.startswith("evaluation/") and (left_out := measured.get("evaluation/episodes_left_out")):
            played = measured["evaluation/episodes"]
            told = f"{played:.0f} of {played + left_out:.0f} episodes were played, as evaluation.max_env_steps allows"
            raise UserError(f"seed {seed}: {told}; a claim takes all")
        if claim.metric not in measured:
            known = ", ".join(sorted(measured)) or "nothing"
            raise UserError(f"seed {seed} has no {claim.at} metric {claim.metric}: it measured {known}")
        scores[seed] = measured[claim.metric]
    return scores


def describe(verdict: Verdict) -> str:
    """One line, such as `evaluation/return_mean >= 475: holds (498.2, 95 % interval 492.1 to 504.3, 5 seeds)`."""
    claim, seeds = claim_of(verdict), len(verdict["seeds"])
    outcome = "holds" if verdict["holds"] else "does not hold"
    if verdict["failed"]:
        seed, why = next(iter(verdict["failed"].items()))
        more = f" and {len(verdict['failed']) - 1} more" if len(verdict["failed"]) > 1 else ""
        return f"{claim}: does not hold (seed {seed} failed: {why}{more})"
    if seeds == 1:
        value = "" if claim.of == "success" else f" ({verdict['measured']:.6g})"
        return f"{claim}: {outcome} for this one seed{value}; `verify` judges it on {claim.seeds}"
    return f"{claim}: {outcome} ({measured_in_words(verdict)}, {seeds} seeds{_again_in_words(verdict)})"


def measured_in_words(verdict: Verdict) -> str:
    """What the seeds gave: `498.2, 95 % interval 492.1 to 504.3`, or how many of them reach it."""
    reached = f"{verdict['reached']} of {len(verdict['seeds'])} reach it"
    if claim_of(verdict).of == "success" and verdict["bound"] is not None:
        return f"{reached}: at least {percent(verdict['bound'])} of all"
    if verdict["interval"] is None:
        return f"{verdict['measured']:.6g} on each: {reached}"
    low, high = verdict["interval"]
    return f"{verdict['measured']:.6g}, 95 % interval {low:.6g} to {high:.6g}"


def _again_in_words(verdict: Verdict) -> str:
    if verdict["again"] is None:
        return ""
    told = f"; {percent(verdict['again'])} chance to hold on as many others"
    wanted = verdict["seeds_for_95"]
    return told if verdict["again"] >= CONFIDENT or wanted is None else f"{told}, {percent(CONFIDENT)} takes {wanted}"


def claim_of(verdict: Mapping[str, Any]) -> Claim:
    """The claim that a verdict is about."""
    return Claim(**verdict["claim"])
