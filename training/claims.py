"""Claims: what an experiment promises to reach, judged by the pessimistic confidence bound over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict

from training.errors import UserError, require
from training.intervals import estimate, interval, lower_bound, upper_bound


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

    def __post_init__(self) -> None:
        require(self.op in (">=", "<="), "claim.op", self.op, "'>=' or '<='")
        require(self.at in ("final", "best"), "claim.at", self.at, "'final' or 'best'")
        require(math.isfinite(self.margin), "claim.margin", self.margin, "a finite number")
        one = (self.target is None) != (self.baseline is None)
        require(one, "claim", self, "either a target or a baseline")
        if self.target is not None:
            require(math.isfinite(self.target), "claim.target", self.target, "a finite number")

    def __str__(self) -> str:
        reference = f"{self.target:g}" if self.target is not None else str(self.baseline)
        margin = self.margin if self.op == ">=" else -self.margin
        best = "best " if self.at == "best" else ""
        return f"{best}{self.metric} {self.op} {reference}{f' {margin:+g}' if margin else ''}"


class Verdict(TypedDict):
    """A claim and what came of it, as it stands in `result.json` and in docs/results."""

    metric: str
    op: str
    target: float | None
    baseline: str | None
    margin: float
    at: str
    measured: float
    """Mean of the seeds, from 10 seeds their interquartile mean; with a baseline, of the paired differences."""
    interval: tuple[float, float] | None
    """Two-sided, 95 %; None for one seed."""
    bound: float | None
    """One-sided, 95 %, on the unfavourable side: this is what must reach the target. None for one seed."""
    seeds: list[int]
    holds: bool
    """With one seed only an indication: the measured value itself reaches the target."""


def judge(claim: Claim, scores: Mapping[int, float], baseline: Mapping[int, float] | None = None) -> Verdict:
    """The verdict on scores by seed.

    Args:
        claim: what is claimed.
        scores: the claim's metric of every seed, see `scores_by_seed`.
        baseline: the same of the baseline, for the same seeds; only and always for a claim with a baseline.

    Raises:
        UserError: a score that is no finite number, or a seed that the baseline lacks; names the seed.
    """
    assert (baseline is None) == (claim.baseline is None), "a baseline's scores belong to a claim with a baseline"
    seeds = sorted(scores)
    _require_finite(claim.metric, scores)
    if baseline is None:
        judged, reference = [scores[seed] for seed in seeds], claim.target or 0.0
    else:
        _require_finite(f"{claim.metric} of {claim.baseline}", baseline)
        if sorted(baseline) != seeds:
            raise UserError(f"seeds {seeds} are paired with {claim.baseline}'s {sorted(baseline)}: take the same seeds")
        judged, reference = [scores[seed] - baseline[seed] for seed in seeds], 0.0
    measured = estimate(judged)
    bound = lower_bound(judged) if claim.op == ">=" else upper_bound(judged)
    unfavourable = measured if bound is None else bound
    at_least = claim.op == ">="
    holds = unfavourable >= reference + claim.margin if at_least else unfavourable <= reference - claim.margin
    return {
        "metric": claim.metric,
        "op": claim.op,
        "target": claim.target,
        "baseline": claim.baseline,
        "margin": claim.margin,
        "at": claim.at,
        "measured": measured,
        "interval": interval(judged),
        "bound": bound,
        "seeds": seeds,
        "holds": holds,
    }


def judge_seed(claims: Sequence[Claim], seed: int, result: Mapping[str, Any]) -> tuple[list[Verdict], dict[Claim, str]]:
    """The verdicts on one seed by its `result.json`, only indications, and why the other claims have none."""
    verdicts: list[Verdict] = []
    unjudged: dict[Claim, str] = {}
    for claim in claims:
        if claim.baseline is not None:
            unjudged[claim] = f"judged by `verify`, which runs {claim.baseline} on the same seeds"
            continue
        try:
            verdicts.append(judge(claim, scores_by_seed(claim, {seed: result})))
        except UserError as error:
            unjudged[claim] = f"not judged: {error}"
    return verdicts, unjudged


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
    claim = claim_of(verdict)
    outcome = "holds" if verdict["holds"] else "does not hold"
    if verdict["interval"] is None:
        return f"{claim}: {outcome} for this one seed ({verdict['measured']:.6g}); `verify` judges it over seeds"
    low, high = verdict["interval"]
    return (
        f"{claim}: {outcome} ({verdict['measured']:.6g}, 95 % interval {low:.6g} to {high:.6g},"
        f" {len(verdict['seeds'])} seeds)"
    )


def claim_of(verdict: Mapping[str, Any]) -> Claim:
    """The claim that a verdict is about."""
    return Claim(**{field.name: verdict[field.name] for field in fields(Claim)})


def _require_finite(name: str, scores: Mapping[int, float]) -> None:
    for seed, score in scores.items():
        if not math.isfinite(score):
            raise UserError(f"seed {seed} has {name} = {score}: a claim is judged on finite numbers")
