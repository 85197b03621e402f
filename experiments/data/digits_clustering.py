"""k-means on features learned by contrast finds the ten digits without a label, far better than on the pixels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from experiments.data import digits_contrastive
from pretraining import contrastive, whole_data
from pretraining.baselines.linear import compared
from pretraining.baselines.ward import ward
from pretraining.contrastive import ContrastiveEncoder, ContrastiveRunConfig
from pretraining.model import load_model
from pretraining.whole_data import KMeansConfig, WholeRunConfig
from training.claims import Claim
from training.data.dataset import Dataset
from training.data.sources import of_arrays, sklearn_dataset
from training.data.splits import SplitConfig, Splits, split
from training.run.run import Run


def _pretraining() -> ContrastiveRunConfig:
    own = digits_contrastive.Config()
    return ContrastiveRunConfig(
        epochs=None, steps=2_000, model=own.model, algorithm=own.algorithm, evaluation=own.evaluation
    )


@dataclass(frozen=True, kw_only=True)
class Config(WholeRunConfig):
    """The encoder of `digits_contrastive`, trained for longer; k-means with twenty restarts for both."""

    split: SplitConfig = SplitConfig("stratified", validation=0.1, test=0.4)
    algorithm: KMeansConfig = KMeansConfig(clusters=10, restarts=20)
    pretraining: ContrastiveRunConfig = field(default_factory=_pretraining)


# The agreement of clusters and classes on digits that neither saw. Ward's method on the pixels (`over_ward`) is the
# stronger baseline, of which the lead is smaller and less sure.
RESPLIT = Config().split.test_per_train
CLAIMS = (Claim("over_pixels/adjusted_rand_index", ">=", 0.0, seeds=10, resplit=RESPLIT),)


def train(config: Config, run: Run) -> None:
    """Three stages: features, the clusters of pixels, and the clusters of features."""
    splits = split(sklearn_dataset("digits"), config.split, seed=config.seed)
    features, of_pixels, of_features = run.stage("features"), run.stage("pixels"), run.stage("clusters")
    if not features.finished:
        contrastive.train(replace(config.pretraining, seed=config.seed), features, splits)
    if not of_pixels.finished:
        whole_data.train(config, of_pixels, splits)
    if not of_features.finished:
        model = load_model(features.folder, "last")
        assert isinstance(model, ContrastiveEncoder)
        rows = [features_of(model, part) for part in splits]
        varies = rows[0].std(0) > 0
        seen = Splits(
            *(of_arrays(x[:, varies], part.array("target"), "features") for x, part in zip(rows, splits, strict=True))
        )
        pixels = {key.removeprefix("test/"): value for key, value in of_pixels.result["metrics"].items()}
        hierarchy = ward(splits, config.algorithm.clusters)

        def measure(_: object, found: dict[str, float]) -> dict[str, float]:
            return compared(found, pixels, "pixels") | compared(found, hierarchy, "ward")

        whole_data.train(config, of_features, seen, measure=measure)
    run.finish_as(of_features)


@torch.no_grad()
def features_of(model: ContrastiveEncoder, data: Dataset) -> NDArray[np.float32]:
    """The features of every sample [S, features], all of length 1, as they are compared in contrastive learning."""
    rows = torch.cat([normalize(model.features(batch), dim=1) for batch in data.batches(1024)])
    return rows.numpy()
