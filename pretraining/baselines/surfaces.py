"""How far a patch is from good ones, without learning from any defect: the baselines of inspection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.extras import extra

Patches = NDArray[np.float64]
"""Grey values [S, P, P]."""
Score = Callable[[Patches], NDArray[np.float64]]
"""From patches to how odd each is [S]."""


def pca_residual(good: Patches, *, components: int) -> Score:
    """The squared error of what the principal components of good patches leave out."""
    with extra("data"):
        from sklearn.decomposition import PCA
    pca = PCA(components, svd_solver="full").fit(good.reshape(len(good), -1))

    def score(patches: Patches) -> NDArray[np.float64]:
        flat = patches.reshape(len(patches), -1)
        return np.asarray(np.square(flat - pca.inverse_transform(pca.transform(flat))).sum(1))

    return score


def binary_patterns(good: Patches, *, radius: int) -> Score:
    """The Mahalanobis distance between histograms of local binary patterns (Ojala et al. 2002) with mean and deviation
    of the grey values, by the shrunk covariance of good patches (Ledoit and Wolf 2004)."""
    with extra("data"):
        from sklearn.covariance import LedoitWolf
    seen = _patterns(good, radius)
    center, spread = seen.mean(0), seen.std(0) + 1e-9
    fitted = LedoitWolf().fit((seen - center) / spread)
    return lambda patches: np.asarray(fitted.mahalanobis((_patterns(patches, radius) - center) / spread))


def _patterns(patches: Patches, radius: int) -> NDArray[np.float64]:
    """[S, patterns + 2]."""
    with extra("applications"):
        from skimage.feature import local_binary_pattern
    points = 8 * radius
    found = []
    for patch in np.round(patches).astype(np.uint8):
        patterns = local_binary_pattern(patch, points, radius, method="uniform")
        histogram = np.bincount(patterns.astype(np.int64).ravel(), minlength=points + 2) / patterns.size
        found.append([*histogram, patch.mean(), patch.std()])
    return np.array(found)


GRIDS: Mapping[str, tuple[Callable[..., Score], tuple[dict[str, Any], ...]]] = {
    "pca": (pca_residual, tuple({"components": count} for count in (16, 64, 128))),
    "patterns": (binary_patterns, tuple({"radius": radius} for radius in (1, 2, 3))),
}


def best_baselines(good: Patches, validation: Patches, bad: NDArray[np.bool_], grids: Any = GRIDS) -> dict[str, Score]:
    """Each learned from good patches, with the setting that tells good from bad the best on the validation patches."""
    with extra("data"):
        from sklearn.metrics import roc_auc_score
    found = {}
    for name, (make, settings) in grids.items():
        tried = [make(good, **one) for one in settings]
        found[name] = max(tried, key=lambda score: float(roc_auc_score(bad, score(validation))))
    return found
