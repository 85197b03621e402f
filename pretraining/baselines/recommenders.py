"""What recommenders are compared with: popularity, item neighbours, ALS and EASE, each tuned on the validation split.

Dacrema et al. 2019 (https://arxiv.org/abs/1907.06902) found most networks behind such baselines once these were tuned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretraining.recommend import list_measures
from training.extras import extra

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Scores = Callable[[Flags], Floats]
"""From what users liked [U, items] to scores [U, items]."""


def popularity(liked: Flags) -> Scores:
    """How many like it, the same for everybody."""
    count = liked.sum(0).astype(np.float64)
    return lambda known: np.broadcast_to(count, known.shape)


def item_neighbours(liked: Flags, *, neighbours: int, shrink: float) -> Scores:
    """The sum of the likenesses to what is known, of the `neighbours` nearest of each item (Sarwar et al. 2001); the
    likeness is the cosine with `shrink` added below."""
    x = liked.astype(np.float64)
    both, length = x.T @ x, np.sqrt(x.sum(0))
    likeness = both / (length[:, None] * length[None] + shrink + 1e-12)
    np.fill_diagonal(likeness, 0.0)
    least = -np.sort(-likeness, axis=1)[:, min(neighbours, likeness.shape[1]) - 1]
    likeness[likeness < least[:, None]] = 0.0
    return lambda known: known.astype(np.float64) @ likeness.T


def ease(liked: Flags, *, penalty: float) -> Scores:
    """The linear model without a diagonal, in closed form (Steck 2019, https://arxiv.org/abs/1905.03375, eq. 8)."""
    x = liked.astype(np.float64)
    inverse = np.linalg.inv(x.T @ x + penalty * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)[None]
    np.fill_diagonal(weights, 0.0)
    return lambda known: known.astype(np.float64) @ weights


def als(liked: Flags, *, factors: int, alpha: float, regularization: float = 0.01, seed: int = 0) -> Scores:
    """Factors by alternating least squares (Hu, Koren and Volinsky 2008), by `implicit`."""
    with extra("applications"):
        from implicit.cpu.als import AlternatingLeastSquares
        from scipy.sparse import csr_matrix
    model = AlternatingLeastSquares(
        factors=factors, alpha=alpha, regularization=regularization, iterations=15, random_state=seed, num_threads=1
    )
    model.fit(csr_matrix(liked.astype(np.float32)), show_progress=False)

    def scores(known: Flags) -> Floats:
        users = model.recalculate_user(np.arange(len(known)), csr_matrix(known.astype(np.float32)))
        return np.asarray(users @ model.item_factors.T, np.float64)

    return scores


GRIDS: Mapping[str, tuple[Callable[..., Scores], tuple[dict[str, Any], ...]]] = {
    "popularity": (popularity, ({},)),
    "neighbours": (
        item_neighbours,
        tuple({"neighbours": k, "shrink": s} for k in (50, 200) for s in (0.0, 10.0, 30.0)),
    ),
    "als": (als, tuple({"factors": f, "alpha": a} for f in (16, 32, 64) for a in (1.0, 5.0))),
    "ease": (ease, tuple({"penalty": p} for p in (30.0, 100.0, 200.0, 400.0, 800.0))),
}


def best_baselines(
    liked: Flags, later: Flags, grids: Mapping[str, Any] = GRIDS
) -> dict[str, tuple[dict[str, Any], Scores]]:
    """Each learned from `liked` [U, items] with the settings that say best what was liked `later`, and these."""
    found = {}
    for name, (make, settings) in grids.items():
        tried = [(one, make(liked, **one)) for one in settings]
        found[name] = max(tried, key=lambda pair: float(list_measures(pair[1](liked), liked, later)[0].mean()))
    return found
