"""K-means, PCA and UMAP, which learn from all data at once: one update by scikit-learn or umap-learn.

What they found is kept as named arrays of a model, never as a pickled object. K-means and PCA take new data too;
UMAP's embedding is of the data that it was made of and of no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor

from pretraining import recipe
from pretraining.measures import cluster_measures
from pretraining.model import Model, ModelAndParts
from pretraining.recipe import DataRunConfig, Part
from training.core import Batch, Budget, Counters
from training.data.flat_inputs import explained, flat, flat_size
from training.data.preprocessing import Preprocessing, PreprocessingConfig
from training.data.splits import Splits
from training.data.streams import Whole
from training.errors import UserError, require
from training.extras import extra
from training.metrics import Last, Metrics
from training.run.run import Run
from training.seeding import derived_seed


@dataclass(frozen=True)
class KMeansConfig:
    """k-means (Lloyd 1982), begun anew `restarts` times by k-means++."""

    clusters: int = 10
    restarts: int = 20
    preprocessing: PreprocessingConfig = PreprocessingConfig()

    def __post_init__(self) -> None:
        require(self.clusters >= 2, "clusters", self.clusters, "at least 2")
        require(self.restarts >= 1, "restarts", self.restarts, "at least 1")


@dataclass(frozen=True)
class PCAConfig:
    """Principal components."""

    components: int = 10
    preprocessing: PreprocessingConfig = PreprocessingConfig()

    def __post_init__(self) -> None:
        require(self.components >= 1, "components", self.components, "at least 1")


@dataclass(frozen=True)
class UMAPConfig:
    """UMAP (McInnes et al. 2018, https://arxiv.org/abs/1802.03426) with its library's defaults."""

    components: int = 2
    neighbors: int = 15
    min_distance: float = 0.1
    preprocessing: PreprocessingConfig = PreprocessingConfig()

    def __post_init__(self) -> None:
        require(self.components >= 1, "components", self.components, "at least 1")
        require(self.neighbors >= 2, "neighbors", self.neighbors, "at least 2")
        require(0.0 <= self.min_distance < 1.0, "min_distance", self.min_distance, "a number in [0, 1)")


class _Whole(Model):
    """What these models share: standardized inputs as rows of numbers [S, F]."""

    def __init__(
        self, inputs: Mapping[str, Space[Any]], target: Space[Any] | None, config: Any, rng: Any = None
    ) -> None:
        super().__init__(inputs, target, config)
        self.preprocessing = Preprocessing(inputs, config.preprocessing)
        self.size = flat_size(inputs)

    def rows(self, batch: Batch) -> Tensor:
        return flat(self.preprocessing(batch), self.inputs)


class KMeans(_Whole):
    """The centres [clusters, F] of clusters."""

    centres: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer("centres", torch.zeros(self.config.clusters, self.size))

    def fit(self, batch: Batch, seed: int) -> dict[str, float]:
        with extra("data"):
            from sklearn import cluster
        self._require_enough(batch)
        rows = self.rows(batch).numpy()
        fitted = cluster.KMeans(self.config.clusters, n_init=self.config.restarts, random_state=seed).fit(rows)
        self.centres.copy_(torch.from_numpy(fitted.cluster_centers_))
        return {"inertia": float(fitted.inertia_) / len(rows)}

    def _require_enough(self, batch: Batch) -> None:
        samples = len(next(iter(batch.values())))
        require(self.config.clusters <= samples, "clusters", self.config.clusters, f"at most the {samples} samples")

    def forward(self, batch: Batch) -> Tensor:
        """The cluster of each sample [B]."""
        return torch.cdist(self.rows(batch), self.centres).argmin(1)

    def measures(self, batch: Batch) -> dict[str, float]:
        nearest = torch.cdist(self.rows(batch), self.centres).min(1).values
        found = {"inertia": float(nearest.square().mean()), "score": -float(nearest.square().mean())}
        return found | cluster_measures(self(batch), batch.get("target"))


class PCA(_Whole):
    """The mean [F], the directions [components, F] and the variance along each [components]."""

    mean: Tensor
    directions: Tensor
    variance: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        most, components = self.size, self.config.components
        require(components <= most, "components", components, f"at most the {most} numbers of a sample")
        self.register_buffer("mean", torch.zeros(most))
        self.register_buffer("directions", torch.zeros(components, most))
        self.register_buffer("variance", torch.zeros(components))

    def fit(self, batch: Batch, seed: int) -> dict[str, float]:
        with extra("data"):
            from sklearn import decomposition
        fitted = decomposition.PCA(self.config.components, svd_solver="full").fit(self.rows(batch).numpy())
        for name, value in (
            ("mean", fitted.mean_),
            ("directions", fitted.components_),
            ("variance", fitted.explained_variance_),
        ):
            getattr(self, name).copy_(torch.from_numpy(value))
        return {"explained_variance": float(fitted.explained_variance_ratio_.sum())}

    def forward(self, batch: Batch) -> Tensor:
        """Where each sample is along the directions [B, components]."""
        return (self.rows(batch) - self.mean) @ self.directions.T

    def measures(self, batch: Batch) -> dict[str, float]:
        r2 = explained(self.rows(batch), self(batch) @ self.directions + self.mean)
        return {"r2": r2, "score": r2}


class UMAP(_Whole):
    """The place [S, components] of every sample that it was made of."""

    embedding: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer("embedding", torch.zeros(0, self.config.components))

    def fit(self, batch: Batch, seed: int) -> dict[str, float]:
        with extra("data"):
            import umap
            from sklearn.manifold import trustworthiness
        rows, config = self.rows(batch).numpy(), self.config
        require(config.neighbors < len(rows), "neighbors", config.neighbors, f"fewer than the {len(rows)} samples")
        fitted = umap.UMAP(
            n_neighbors=config.neighbors,
            n_components=config.components,
            min_dist=config.min_distance,
            random_state=seed % 2**32,
            n_jobs=1,  # more would not be the same embedding for the same seed
        )
        self.embedding = torch.from_numpy(np.ascontiguousarray(fitted.fit_transform(rows), np.float32))
        # How many of a sample's neighbours in the embedding are its neighbours in the data (Venna and Kaski 2001).
        return {"trustworthiness": float(trustworthiness(rows, self.embedding.numpy(), n_neighbors=config.neighbors))}

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        self.embedding = torch.zeros_like(state_dict["embedding"])
        return super().load_state_dict(state_dict, *args, **kwargs)

    def forward(self, batch: Batch) -> Tensor:
        raise UserError("a UMAP embedding cannot place new data: take PCA or an autoencoder, or embed them together")

    def measures(self, batch: Batch) -> dict[str, float]:
        """Nothing can be said of samples that it was not made of."""
        return {"score": 0.0}


class FitWhole(ModelAndParts):
    """Fits a model to one batch that holds all samples."""

    score = "score"

    def __init__(self, model: KMeans | PCA | UMAP, *, seed: int) -> None:
        self.model, self._seed = model, seed
        self.parts = {}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        found = self.model.fit(batch, derived_seed(self._seed, "fit") % 2**32)
        return {f"learner/{key}": Last(value) for key, value in found.items()}, {}

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        parts = list(batches)
        return self.model.measures({key: torch.cat([batch[key] for batch in parts]) for key in parts[0]})


_MODELS: dict[type, type[_Whole]] = {KMeansConfig: KMeans, PCAConfig: PCA, UMAPConfig: UMAP}


@dataclass(frozen=True, kw_only=True)
class WholeRunConfig(DataRunConfig):
    """One update on the whole training split."""

    algorithm: KMeansConfig | PCAConfig | UMAPConfig = KMeansConfig()
    epochs: int | None = 1


def train(config: WholeRunConfig, run: Run, splits: Splits, *, measure: Any = None) -> None:
    """One run; `measure` as in `recipe.train`."""
    train_split = splits.train
    model: Any = _MODELS[type(config.algorithm)](train_split.inputs, None, config.algorithm)
    model.preprocessing.fit(train_split)

    def make_algorithm(model: Any, _: Any, __: Budget) -> FitWhole:
        return FitWhole(model, seed=config.seed)

    recipe.train(config, run, splits, model, make_algorithm, make_stream=Whole, measure=measure)
