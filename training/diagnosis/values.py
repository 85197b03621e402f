"""What the learned values say, and how they are learned: their size, what they explain, their targets."""

from __future__ import annotations

import numpy as np

from training.diagnosis.finding import Evidence, Remedy, Symptom
from training.diagnosis.record import Record

EXPLAINED = 0.05
"""Of the variance of the returns; a constant explains 0."""
HAS_ERROR = 0.01
"""Of the largest error: where nothing is left to explain, an explained variance says nothing."""
BEGINNING = 0.2
"""Of the rows, which no value function has to explain."""
FEWEST_SAMPLES = 0.5
"""For each env step: less than half of what was seen is ever learned from. DQN in its paper has 8."""


def explains_nothing(record: Record) -> Evidence | None:
    """The value function explains nothing of the returns."""
    explained, error = record.series("value/explained_variance"), record.series("value/loss")
    if not len(explained.value) or len(error.value) != len(explained.value):
        return None
    later = slice(int(BEGINNING * len(error.value)), None)
    middle = float(np.median(explained.value[later]))
    if middle >= EXPLAINED or np.median(error.value[later]) < HAS_ERROR * error.value.max():
        return None
    shown = f"value/explained_variance is {middle:.2g} in the middle row, and value/loss {error.late.mean():.3g}."
    return Evidence(shown, float(explained.at[later][0]), float(explained.at[-1]))


def target_stands_still(record: Record) -> Evidence | None:
    """The target network was never copied, or has hardly moved."""
    every, tau, minibatch = (record.option(name) for name in ("target_gradient_steps", "tau", "replay.minibatch_size"))
    if not record.rows or not minibatch or (every is None and tau is None):
        return None
    last = record.rows[-1]
    steps = last["samples"] / minibatch
    if (steps >= every) if every is not None else (steps * tau >= 1):
        return None
    moves = f"is copied every {every:,} gradient steps" if every is not None else f"goes {tau:g} of the way each step"
    return Evidence(f"It {moves}; there were {steps:,.0f} of them.", record.rows[0][record.unit], last[record.unit])


def learns_too_seldom(record: Record) -> Evidence | None:
    """Few samples are learned from for each env step."""
    if record.option("replay.gradient_steps") is None or not record.rows or record.reached:
        return None
    last = record.rows[-1]
    each = last["samples"] / max(1, last["env_steps"])
    if each >= FEWEST_SAMPLES or not len(record.series("rollout/return_mean").value):
        return None
    shown = f"There are {each:.2g} samples for each env step."
    return Evidence(shown, record.rows[0][record.unit], last[record.unit])


SYMPTOMS = (
    Symptom(
        "target network stands still",
        "The target network is that of the beginning, so that values are learned of a policy that nobody follows.",
        "There were fewer gradient steps than from one copy to the next, or `tau` times their number is below 1.",
        (
            Remedy("target_gradient_steps", to=500),
            Remedy("tau", to=0.005),
            Remedy("replay.gradient_steps", "more for each env step", times=2),
        ),
        target_stands_still,
    ),
    Symptom(
        "learns too seldom",
        "Most of what was seen is never learned from.",
        f"Fewer than {FEWEST_SAMPLES:g} samples are drawn from replay for each env step, and the claims do not hold.",
        (
            Remedy("replay.gradient_steps", "or as many as fit half of the env steps between two updates", times=10),
            Remedy("replay.horizon", "fewer steps between two updates", times=0.25),
            Remedy("replay.minibatch_size", times=2),
        ),
        learns_too_seldom,
    ),
    Symptom(
        "values explain nothing",
        "The value function says no more about the returns than their mean, so that advantages are mostly noise.",
        f"`value/explained_variance` is below {EXPLAINED:g} in the middle row after the first {BEGINNING:.0%}, while "
        f"`value/loss` is not small ({HAS_ERROR:.0%} of its largest or more).",
        (
            Remedy("value_coefficient", to=0.5),
            Remedy("scale_reward", "where rewards are far from 1", to="True"),
            Remedy("gae_lambda", "nearer to 1 trusts the values less", to=0.95),
            Remedy("policy.shared_encoder", "values get a network of their own", to="False"),
        ),
        explains_nothing,
    ),
)
