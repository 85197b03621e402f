"""K-means, PCA and UMAP are their libraries'."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pretraining import whole_data
from pretraining.model import load_model
from pretraining.whole_data import KMeansConfig, PCAConfig, UMAPConfig, WholeRunConfig
from tests.support.data import clouds, whole
from training.data.sources import sklearn_dataset
from training.data.splits import SplitConfig, Splits, split
from training.errors import UserError
from training.run.run import Run


def fitted(folder: Path, config: Any, splits: Splits) -> tuple[Any, dict[str, float]]:
    with Run.create("made_up", WholeRunConfig(algorithm=config, threads=1), folder=folder, tracker="none") as run:
        whole_data.train(WholeRunConfig(algorithm=config, threads=1), run, splits)
    assert run.result["counters"] == {"env_steps": 0, "updates": 1, "samples": len(splits.train), "epochs": 1}
    return load_model(folder, "last"), run.result["metrics"]


def test_k_means_is_scikit_learns_and_says_the_cluster_of_new_samples(tmp_path: Path) -> None:
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    splits = clouds()
    model, measured = fitted(tmp_path / "run", KMeansConfig(clusters=3), splits)
    scaler = StandardScaler().fit(splits.train.array("input"))
    theirs = KMeans(3, n_init=20, random_state=0).fit(scaler.transform(splits.train.array("input")))
    ours = model.centres.numpy()
    order = np.argsort(ours[:, 0])
    np.testing.assert_allclose(
        ours[order], theirs.cluster_centers_[np.argsort(theirs.cluster_centers_[:, 0])], atol=1e-3
    )
    assert measured["test/adjusted_rand_index"] == 1.0
    assert model(whole(splits.test)).shape == (len(splits.test),)


def test_pca_is_scikit_learns(tmp_path: Path) -> None:
    from sklearn.decomposition import PCA

    splits = split(sklearn_dataset("digits"), SplitConfig(), seed=1)
    model, measured = fitted(tmp_path / "run", PCAConfig(components=5), splits)
    rows = [part.array("input").reshape(len(part), -1) / 255.0 for part in splits]
    theirs = PCA(5, svd_solver="full").fit(rows[0])
    np.testing.assert_allclose(model(whole(splits.test)).numpy(), theirs.transform(rows[2]), atol=1e-3)
    back = theirs.inverse_transform(theirs.transform(rows[2]))
    by_hand = 1 - ((rows[2] - back) ** 2).sum() / ((rows[2] - rows[2].mean(0)) ** 2).sum()
    assert measured["test/r2"] == pytest.approx(by_hand, abs=1e-4)


@pytest.mark.full
def test_umap_keeps_its_embedding_and_says_that_it_cannot_place_new_data(tmp_path: Path) -> None:
    splits = clouds()
    model, _ = fitted(tmp_path / "run", UMAPConfig(neighbors=10), splits)
    assert model.embedding.shape == (len(splits.train), 2)
    centres = np.stack([model.embedding[splits.train.array("target") == label].mean(0) for label in range(3)])
    spread = model.embedding[splits.train.array("target") == 0].std()
    assert np.linalg.norm(centres[:, None] - centres, axis=-1)[~np.eye(3, dtype=bool)].min() > spread
    with pytest.raises(UserError, match="a UMAP embedding cannot place new data"):
        model(whole(splits.test))


def test_more_clusters_than_samples_and_more_components_than_numbers_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="clusters = 500: it takes at most the 210 samples"):
        fitted(tmp_path / "a", KMeansConfig(clusters=500), clouds())
    with pytest.raises(UserError, match="components = 4: it takes at most the 3 numbers of a sample"):
        fitted(tmp_path / "b", PCAConfig(components=4), clouds())
