"""What the returns say: of training, of evaluations, and of both against each other."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from training.diagnosis.finding import Evidence, Remedy, Symptom
from training.diagnosis.record import Record

FEWEST_EPISODES = 50
"""As many random episodes find a reward that one in ten finds, with 99 %."""
NO_REWARD = 1e-3
"""A reward for each step that is smaller is taken to be a small cost, not what the task is about."""
FALLEN = 0.3
"""Of what was gained. Final policies of DQN that hold differ from their best by 20 % at the most."""
ERRORS = 3.0
"""So many standard errors are no chance."""
APART = 0.5
"""Of the larger return. Exploration costs less, and it costs training, not the evaluation."""
AGREEING = 3
"""So many evaluations in a row: one alone may fall into a dip that training has left already."""


def reward_never_seen(record: Record) -> Evidence | None:
    """No episode of the run returned anything but costs."""
    returns, lengths = record.series("rollout/return_mean"), record.series("rollout/length_mean")
    episodes = sum(row.get("rollout/episodes", 0) for row in record.rows)
    if not len(returns.value) or len(lengths.value) != len(returns.value) or episodes < FEWEST_EPISODES:
        return None
    evaluated = [row["evaluation/return_mean"] for row in record.rows if "evaluation/return_mean" in row]
    highest, lowest = max([*returns.value, *evaluated]), float(returns.value.min())
    nothing = highest <= 0 and -lowest <= NO_REWARD * float(lengths.value.min())
    same = highest < 0 and highest == lowest and lengths.value.min() == lengths.value.max()
    if not (nothing or same):
        return None
    every = f"{lowest:g} in every one" if same else f"{highest:g} at the best"
    return Evidence(f"{episodes:,.0f} episodes returned {every}.", float(returns.at[0]), float(returns.at[-1]))


def collapse(record: Record) -> Evidence | None:
    """The final policy is much worse than the best one."""
    returns = record.series("rollout/return_mean")
    evaluations = [row for row in record.rows if "evaluation/return_mean" in row]
    if not len(returns.value) or len(evaluations) < AGREEING:
        return None
    measured = [row["evaluation/return_mean"] for row in evaluations]
    best_row = evaluations[int(np.argmax(measured))]
    ended = record.result.get("status") == "completed"
    final = record.result["metrics"] if ended else evaluations[-1]
    best = (record.result.get("best") if ended else None) or best_row
    if not {"evaluation/return_mean", "evaluation/return_std"} <= final.keys() & best.keys():
        return None
    was, now = best["evaluation/return_mean"], final["evaluation/return_mean"]
    floor = min(float(returns.early.mean()), *measured)
    if was - now <= FALLEN * (was - floor) or was - now <= ERRORS * math.hypot(_error(best), _error(final)):
        return None
    since = best_row[record.unit]
    shown = f"evaluation/return_mean was {was:.4g} after {since:,.0f} {_words(record)} and is {now:.4g} at the end."
    return Evidence(shown, since, record.rows[-1][record.unit])


def evaluation_disagrees(record: Record) -> Evidence | None:
    """Evaluations return much less than the episodes of training."""
    pairs = [row for row in record.rows if {"evaluation/return_std", "rollout/return_mean"} <= row.keys()][-AGREEING:]
    if len(pairs) < AGREEING or record.improved is not True:
        return None
    for row in pairs:
        acted, measured = row["rollout/return_mean"], row["evaluation/return_mean"]
        if acted - measured <= max(APART * max(abs(acted), abs(measured)), ERRORS * _error(row)):
            return None
    acted, measured = (
        float(np.mean([row[f"{name}/return_mean"] for row in pairs])) for name in ("rollout", "evaluation")
    )
    shown = f"The last {AGREEING} evaluations return {measured:.4g}, the episodes of training {acted:.4g}."
    return Evidence(shown, pairs[0][record.unit], pairs[-1][record.unit])


def not_learning(record: Record) -> Evidence | None:
    """The return is what it was."""
    returns = record.series("rollout/return_mean")
    if record.improved is not False or record.reached or not record.begins_anew:
        return None
    evaluated = [row["evaluation/return_mean"] for row in record.rows if "evaluation/return_mean" in row]
    before = float(returns.early.max())
    if any(value > before for value in evaluated):
        return None
    shown = f"rollout/return_mean was {returns.early.mean():.4g} at first and is {returns.late.mean():.4g} at the end."
    return Evidence(shown, float(returns.at[0]), float(returns.at[-1]))


def _error(measured: Mapping[str, float]) -> float:
    return measured["evaluation/return_std"] / math.sqrt(max(1.0, measured.get("evaluation/episodes", 1.0)))


def _words(record: Record) -> str:
    return record.unit.replace("_", " ")


SYMPTOMS = (
    Symptom(
        "reward never seen",
        "No episode met the reward, so there is nothing to learn from.",
        f"`rollout/return_mean` never rises above 0 and no step costs more than {NO_REWARD:g}, or every episode of the "
        f"run has the same return below 0 and the same length, over at least {FEWEST_EPISODES} episodes.",
        (
            Remedy("entropy_coefficient", "it keeps the policy trying longer", to=0.01),
            Remedy("epsilon.fraction", "it explores longer", times=2),
            Remedy("replay.hindsight_fraction", "where the environment has goals", to=0.8),
            Remedy("", "an exploration bonus, as in `rnd_deep_sea`, or a task that is easier at first"),
        ),
        reward_never_seen,
    ),
    Symptom(
        "collapse after success",
        "The policy was good and no longer is; the best checkpoint still holds the good one.",
        f"The final policy has lost more than {FALLEN:.0%} of what the best checkpoint had gained, by more than "
        f"{ERRORS:g} standard errors.",
        (
            Remedy("", "take the best one: `evaluate RUN --checkpoint best`"),
            Remedy("optimizer.schedule.kind", "steps become small towards the end", to="linear"),
            Remedy("optimizer.learning_rate", "smaller steps", times=0.3),
            Remedy("error_clip", "a clipped error hides the few transitions in which an episode is lost", to="None"),
            Remedy("target_kl", "an update ends before the policy has gone too far", to=0.02),
        ),
        collapse,
    ),
    Symptom(
        "evaluation and training disagree",
        "What is evaluated does worse than what is trained.",
        f"In the last {AGREEING} evaluations `evaluation/return_mean` is below `rollout/return_mean` by more than "
        f"{APART:.0%} of the larger and {ERRORS:g} standard errors, while the return of training rose.",
        (
            Remedy("evaluation.max_episode_steps", "at least as long as the episodes of training are"),
            Remedy(
                "evaluation.greedy",
                "the policy is measured as it acts in training; some tasks need its chance",
                to="False",
            ),
            Remedy("", "compare the environments: what ends an episode, and what is normalized, in each of them"),
        ),
        evaluation_disagrees,
    ),
    Symptom(
        "not learning",
        "The return is what it was at the beginning.",
        "`rollout/return_mean` at the end is not above that of the beginning by its standard error, and no evaluation "
        "is better than the beginning of training.",
        (
            Remedy("optimizer.learning_rate", "and a tenth of what it is", times=10),
            Remedy("policy.normalize_observation", to="True"),
            Remedy("", "the published settings of a task that is alike, and more env steps"),
        ),
        not_learning,
        general=True,
    ),
)
