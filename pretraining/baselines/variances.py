"""What econometrics says of tomorrow's variance: GJR-GARCH with Student's t, HAR, and a moving average.

Each is fitted again as time goes on, on all that was known by then.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.extras import extra

Floats = NDArray[np.float64]


def gjr_garch(returns: Floats, measured: Floats, *, first: int, every: int) -> Floats:
    """Forecasts for the days `first` to the last [S - first] (Glosten, Jagannathan and Runkle 1993), by `arch`.

    It foretells the variance from close to close; what is measured may be less, so that its forecasts are multiplied by
    the ratio of both means so far.

    Args:
        returns: of each day [S].
        measured: the variance of each day as it is judged by [S].
        first: the first day to be foretold.
        every: days after which it is fitted anew.
    """
    with extra("applications"):
        from arch import arch_model
    model = arch_model(100 * returns, mean="Constant", vol="GARCH", p=1, o=1, q=1, dist="t")
    found, start = np.zeros(len(returns) - first), None
    for begin in range(first, len(returns), every):
        fitted = model.fit(last_obs=begin, disp="off", starting_values=start, show_warning=False)
        start = np.asarray(fitted.params)
        known = np.asarray(fitted.conditional_volatility)[:begin] ** 2
        end = min(begin + every, len(returns))
        ahead = fitted.forecast(horizon=1, start=begin - 1, reindex=False).variance.to_numpy()[: end - begin, 0]
        found[begin - first : end - first] = ahead * measured[:begin].mean() / known.mean()
    return found


def log_linear(inputs: Floats, measured: Floats, *, first: int, every: int) -> Floats:
    """Forecasts [S - first] by least squares of the logarithm of the variance [S] on inputs [S, C], multiplied so that
    they are right in the mean so far. With yesterday's, last week's and last month's variance it is HAR (Corsi 2009) in
    logarithms."""
    found = np.zeros(len(inputs) - first)
    for begin in range(first, len(inputs), every):
        end = min(begin + every, len(inputs))
        found[begin - first : end - first] = np.exp(log_linear_fit(inputs[:begin], measured[:begin])(inputs[begin:end]))
    return found


def log_linear_fit(inputs: Floats, measured: Floats) -> Callable[[Floats], Floats]:
    """That regression, fitted once: from inputs [S, C] to the logarithms of variances [S]."""
    center, scale = inputs.mean(0), inputs.std(0)

    def seen(rows: Floats) -> Floats:
        return np.concatenate([np.ones((len(rows), 1)), (rows - center) / scale], axis=1)

    effects = np.linalg.lstsq(seen(inputs), np.log(measured), rcond=None)[0]
    factor = float(np.log((measured / np.exp(seen(inputs) @ effects)).mean()))
    return lambda rows: np.asarray(seen(rows) @ effects + factor)


def moving_average(measured: Floats, *, first: int, decay: float = 0.94) -> Floats:
    """Forecasts [S - first] by an exponential average with RiskMetrics' decay (1996)."""
    found, average = np.zeros(len(measured)), float(measured[0])
    for day in range(len(measured)):
        found[day] = average
        average = decay * average + (1 - decay) * float(measured[day])
    return found[first:]
