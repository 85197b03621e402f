"""The strongest cheap clustering: Ward's hierarchy (1963, https://doi.org/10.1080/01621459.1963.10500845)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pretraining.baselines.linear import Arrays, arrays
from pretraining.measures import cluster_measures
from training.data.splits import Splits
from training.extras import extra


def ward(splits: Splits | Sequence[Arrays], clusters: int) -> dict[str, float]:
    """The measures of the test split (`cluster_measures`), whose samples go to the cluster of their nearest neighbour
    in the training split; no class is seen."""
    with extra("data"):
        from sklearn.cluster import AgglomerativeClustering
        from sklearn.neighbors import KNeighborsClassifier
    train, _, test = arrays(splits)
    found = AgglomerativeClustering(clusters).fit_predict(train.inputs)
    assigned = KNeighborsClassifier(1).fit(train.inputs, found).predict(test.inputs)
    return cluster_measures(torch.from_numpy(assigned), torch.from_numpy(test.target))
