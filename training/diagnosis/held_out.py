"""What learning from data shows: on what is learned from, and on what is held out."""

from __future__ import annotations

import numpy as np

from training.diagnosis.finding import Evidence, Remedy, Symptom
from training.diagnosis.record import Record

SAME = 0.98
"""Of the loss at the beginning: a network that learns at all is below it after ten rows."""
RAISED = 3.0
"""Times the learning rate at the beginning: no schedule of a training does that after the first tenth."""
IMBALANCE = 0.25
"""How far the mean F1 of the classes is below the accuracy. It is 0.05 at the most in healthy runs here."""
FEWEST_RIGHT = 0.7
"""Accuracy below which a model is bad at all classes."""


def loss_stands_still(record: Record) -> Evidence | None:
    """The training loss of a network that learns from data does not fall."""
    loss = record.series("optimizer/loss")
    learns_from_data = any(name.startswith("learner/") for row in record.rows for name in row)
    if not len(loss.value) or not learns_from_data or not record.begins_anew or record.reached:
        return None
    rate = record.series("optimizer/learning_rate")
    if len(rate.value) and rate.late.max() > RAISED * rate.early.max():  # a test of rates is meant to end badly
        return None
    first, last = float(np.median(loss.early)), float(np.median(loss.late))
    if first <= 0 or last < SAME * first:
        return None
    return Evidence(
        f"optimizer/loss was {first:.4g} at first and is {last:.4g}.", float(loss.at[0]), float(loss.at[-1])
    )


def imbalance(record: Record) -> Evidence | None:
    """Accuracy is high, and the mean F1 of the classes is far below it."""
    right, mean_f1 = record.series("validation/accuracy"), record.series("validation/f1_macro")
    if not len(right.value) or not len(mean_f1.value):
        return None
    accuracy, f1 = float(right.late.mean()), float(mean_f1.late.mean())
    if accuracy < FEWEST_RIGHT or accuracy - f1 <= IMBALANCE:
        return None
    shown = f"validation/accuracy is {accuracy:.3g}, validation/f1_macro, the mean of all classes, {f1:.3g}."
    return Evidence(shown, float(right.at[-len(right.late)]), float(right.at[-1]))


SYMPTOMS = (
    Symptom(
        "loss stands still",
        "The loss is what it was at the beginning: nothing is learned.",
        f"The median of `optimizer/loss` at the end is at least {SAME:.0%} of that at the beginning.",
        (
            Remedy("optimizer.learning_rate", "or what `rates` finds", times=10),
            Remedy("optimizer.max_grad_norm", "where `gradient_norm` is far above it", to="None"),
        ),
        loss_stands_still,
    ),
    Symptom(
        "rare classes are missed",
        "The model is right about the frequent classes alone.",
        f"`validation/accuracy` is at least {FEWEST_RIGHT:.0%} and above `validation/f1_macro` by more than "
        f"{IMBALANCE:g}.",
        (
            Remedy("split.kind", "each class is in every split", to="stratified"),
            Remedy("", "judge by f1_macro or auc, and learn from the rare classes more often"),
        ),
        imbalance,
    ),
)
