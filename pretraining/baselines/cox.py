"""Cox regression with straight effects, by statsmodels: the baseline of survival networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pretraining.survival import EVENT, TIME, cox_loss
from pretraining.survival_measures import baseline_hazard
from training.extras import extra

Floats = NDArray[np.float64]


class Cox(NamedTuple):
    """A fitted one."""

    columns: NDArray[np.intp]
    """Which columns of the inputs [S, C] it reads."""
    medians: Floats
    """Instead of missing values, by the training split [C]."""
    center: Floats
    scale: Floats
    effects: Floats
    hazard: Floats
    """The cumulative hazard of a patient in the middle, by each horizon."""

    def log_hazard(self, inputs: NDArray[Any]) -> Floats:
        """The logarithm of the relative hazard [S] of inputs [S, C]."""
        seen = np.where(np.isnan(inputs), self.medians, inputs)[:, self.columns]
        return np.asarray((seen - self.center) / self.scale @ self.effects)

    def risk(self, inputs: NDArray[Any]) -> Floats:
        """The probability of the event by each horizon [S, horizons]."""
        return np.asarray(1 - np.exp(-self.hazard * np.exp(self.log_hazard(inputs))[:, None]))


def fit_cox(inputs: NDArray[Any], target: NDArray[Any], columns: NDArray[np.intp], horizons: tuple[float, ...]) -> Cox:
    """The maximum of the partial likelihood of inputs [S, C] and targets [S, 2], with Efron's correction for ties, and
    Breslow's baseline hazard."""
    with extra("applications"):
        from statsmodels.duration.hazard_regression import PHReg
    medians = np.nanmedian(inputs, axis=0).astype(np.float64)
    seen = np.where(np.isnan(inputs), medians, inputs)[:, columns].astype(np.float64)
    center, scale = seen.mean(0), seen.std(0)
    time, event = target[:, TIME].astype(np.float64), target[:, EVENT]
    fitted = PHReg(time, (seen - center) / scale, status=event, ties="efron").fit(disp=0)
    own = Cox(columns, medians, center, scale, np.asarray(fitted.params), np.zeros(len(horizons)))
    return own._replace(hazard=baseline_hazard(own.log_hazard(inputs), time, event, horizons))


def best_cox(
    train: tuple[NDArray[Any], NDArray[Any]],
    validation: tuple[NDArray[Any], NDArray[Any]],
    choices: Mapping[str, NDArray[np.intp]],
    horizons: tuple[float, ...],
) -> tuple[str, Cox]:
    """The one among choices of columns with the highest partial likelihood on the validation split, and its name; both
    splits are inputs [S, C] and targets [S, 2]."""
    inputs, target = validation

    def loss(fitted: Cox) -> float:
        said = torch.from_numpy(fitted.log_hazard(inputs)).float()
        return float(cox_loss(said, torch.from_numpy(target[:, TIME]), torch.from_numpy(target[:, EVENT])).sum)

    found = {name: fit_cox(*train, columns, horizons) for name, columns in choices.items()}
    found = {name: one for name, one in found.items() if np.isfinite(one.effects).all()}  # Newton's method may diverge
    best = min(found, key=lambda name: loss(found[name]))
    return best, found[best]
