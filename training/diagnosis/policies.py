"""What the numbers of a policy say: how random it is, how far an update moves it, whether its actions can move."""

from __future__ import annotations

import numpy as np

from training.diagnosis.finding import Evidence, Remedy, Symptom
from training.diagnosis.record import Record

CERTAIN_NATS = 0.01
"""A choice between two of which one has 99.9 %. Differential entropies of continuous actions are below 0 then."""
RANDOM = 0.97
"""Of the entropy at the beginning, which is that of a policy that knows nothing."""
LARGE_KL_NATS = 0.3
"""Twenty times what a KL stop allows (0.015); healthy runs here stay below 0.03."""


def entropy_collapse(record: Record) -> Evidence | None:
    """A choice became certain in a run that does not improve."""
    entropy = record.series("policy/entropy")
    if record.improved is not False or record.reached or not len(entropy.value) or entropy.value.min() < 0:
        return None
    if entropy.late_half.max() > CERTAIN_NATS:
        return None
    since = entropy.at[int(np.argmax(entropy.value <= CERTAIN_NATS))]
    shown = f"policy/entropy is {entropy.late.mean():.2g} nats, and the return has not risen."
    return Evidence(shown, float(since), float(entropy.at[-1]))


def stays_random(record: Record) -> Evidence | None:
    """A choice stayed as random as at first."""
    entropy = record.series("policy/entropy")
    # Of a choice only: where actions are numbers, their spread is learned slowly.
    columns = {name for row in record.rows for name in row}
    is_choice = "rollout/reward_abs_max" in columns and "rollout/saturated_fraction" not in columns
    if not is_choice or record.reached or not len(entropy.value) or not record.begins_anew:
        return None
    first = float(entropy.value[0])
    if first <= CERTAIN_NATS or entropy.value.min() < RANDOM * first:
        return None
    shown = f"policy/entropy was {first:.4g} nats at first and is {entropy.late.mean():.4g} at the end."
    return Evidence(shown, float(entropy.at[0]), float(entropy.at[-1]))


def large_kl(record: Record) -> Evidence | None:
    """An update moved the policy very far."""
    kl = record.series("policy/kl")
    if not len(kl.value) or kl.value.max() <= LARGE_KL_NATS:
        return None
    rows = np.flatnonzero(kl.value > LARGE_KL_NATS)
    shown = (
        f"policy/kl is {kl.value.max():.3g} nats in its largest row, and in {len(rows)} of {len(kl.value)} too large."
    )
    return Evidence(shown, float(kl.at[rows[0]]), float(kl.at[rows[-1]]))


SMALLER_STEPS = Remedy("optimizer.learning_rate", "smaller steps", times=0.1)

SYMPTOMS = (
    Symptom(
        "policy moves too far",
        "One update changes the policy so much that its data say nothing about the new one.",
        f"`policy/kl` is above {LARGE_KL_NATS:g} nats in a row.",
        (
            SMALLER_STEPS,
            Remedy("target_kl", "an update ends before the policy has gone too far", to=0.02),
            Remedy("agent.epochs", "fewer passes over each rollout", times=0.5),
            Remedy("optimizer.max_grad_norm", to=0.5),
        ),
        large_kl,
    ),
    Symptom(
        "exploration is over too early",
        "The policy has become certain before it had learned anything.",
        f"`policy/entropy` of a choice stays below {CERTAIN_NATS:g} nats for the second half of the run, whose return "
        "has not risen.",
        (
            Remedy("entropy_coefficient", "above 0 it keeps the policy trying, below 0 it makes it certain", to=0.01),
            SMALLER_STEPS,
            Remedy("", "an exploration bonus, as in `rnd_deep_sea`, where the reward is rare"),
        ),
        entropy_collapse,
    ),
    Symptom(
        "policy stays random",
        "The policy acts as it did when it knew nothing.",
        f"`policy/entropy` of a choice never falls below {RANDOM:.0%} of its first value, and the claims do not hold.",
        (
            Remedy("entropy_coefficient", "it may outweigh the reward", to=0.0),
            Remedy("optimizer.learning_rate", "larger steps", times=10),
        ),
        stays_random,
    ),
)
