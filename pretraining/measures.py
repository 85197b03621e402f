"""How well predictions and clusters agree with the classes and the numbers of a split."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pretraining.calibration import calibration_error
from training.extras import extra


def class_measures(logits: Tensor, target: Tensor, temperature: float) -> dict[str, float]:
    """Of logits [S, classes] and classes [S]; probabilities are those at the temperature, but for `*_uncalibrated`."""
    with extra("data"):
        from sklearn import metrics
    logs = [torch.log_softmax(logits.double() / t, -1) for t in (1.0, temperature)]
    raw_likelihood, likelihood = (float(log.gather(1, target.unsqueeze(1)).mean()) for log in logs)
    raw, probabilities = (log.exp().numpy() for log in logs)
    truth, said = target.numpy(), logits.argmax(-1).numpy()
    labels = np.arange(logits.shape[1])
    measured = {
        "accuracy": metrics.accuracy_score(truth, said),
        "f1_macro": metrics.f1_score(truth, said, average="macro", labels=labels, zero_division=0.0),
        "log_likelihood": likelihood,
        "log_likelihood_uncalibrated": raw_likelihood,
        "calibration_error": calibration_error(probabilities, truth),
        "calibration_error_uncalibrated": calibration_error(raw, truth),
        "temperature": temperature,
    }
    if len(labels) == 2 and len(np.unique(truth)) == 2:
        measured["auc"] = metrics.roc_auc_score(truth, probabilities[:, 1])
    return {key: float(value) for key, value in measured.items()}


def number_measures(said: NDArray[Any], target: NDArray[Any]) -> dict[str, float]:
    """Of numbers [S, ...] in the target's unit."""
    with extra("data"):
        from sklearn import metrics
    said, target = said.reshape(len(said), -1), target.reshape(len(target), -1)
    return {
        "r2": float(metrics.r2_score(target, said)),
        "root_squared_error": float(metrics.root_mean_squared_error(target, said)),
        "absolute_error": float(metrics.mean_absolute_error(target, said)),
    }


def cluster_measures(found: Tensor, target: Tensor | None) -> dict[str, float]:
    """How the clusters [S] agree with the classes [S], whatever their numbers: 1 is the same, 0 is chance."""
    if target is None:
        return {}
    with extra("data"):
        from sklearn import metrics
    truth, said = target.cpu().numpy(), found.cpu().numpy()
    return {
        "adjusted_rand_index": float(metrics.adjusted_rand_score(truth, said)),
        "normalized_mutual_information": float(metrics.normalized_mutual_info_score(truth, said)),
    }
