"""k-means, PCA and UMAP are their libraries'; autoencoders and deep clustering are their papers' equations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from pretraining import autoencoder, deep_clustering, variational_autoencoder, whole_data
from pretraining.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    AutoencoderRunConfig,
    Autoencoding,
    AutoencodingConfig,
)
from pretraining.deep_clustering import DeepClusteringRunConfig, kl, soft_assignment, target_distribution
from pretraining.model import load_model
from pretraining.variational_autoencoder import (
    VariationalAutoencoder,
    VariationalAutoencoderConfig,
    VariationalConfig,
    VariationalRunConfig,
    elbo_loss,
    kl_from_standard_normal,
    normal_log_likelihood,
)
from pretraining.whole_data import KMeansConfig, PCAConfig, UMAPConfig, WholeRunConfig
from training.core import Budget, Counters
from training.data.augmentation import AugmentationConfig, augment_inputs
from training.data.dataset import Dataset
from training.data.sources import of_arrays, sklearn_dataset
from training.data.splits import SplitConfig, Splits, split
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.run import Run
from training.seeding import generator

NETWORK = NetworkConfig(hidden=(16,), activation="relu", cnn="small")
SHAPE = AutoencoderConfig(network=NETWORK, code=3)
SHORT: dict[str, Any] = {"epochs": 2, "minibatch_size": 32, "threads": 1}


def blobs() -> Splits:
    """Three clouds far from each other, of numbers of very different sizes."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 300)
    x = (10 * np.eye(3)[target] + rng.normal(size=(300, 3))) * [1, 100, 0.01]
    return split(of_arrays(x.astype(np.float32), target, "clouds"), SplitConfig("stratified"), seed=1)


def fitted(folder: Path, config: Any, splits: Splits) -> tuple[Any, dict[str, float]]:
    with Run.create("made_up", WholeRunConfig(algorithm=config, threads=1), folder=folder, tracker="none") as run:
        whole_data.train(WholeRunConfig(algorithm=config, threads=1), run, splits)
    assert run.result["counters"] == {"env_steps": 0, "updates": 1, "samples": len(splits.train), "epochs": 1}
    return load_model(folder, "last"), run.result["metrics"]


def whole(data: Dataset) -> dict[str, torch.Tensor]:
    return data.gather(torch.arange(len(data)))


def test_k_means_is_scikit_learns_and_says_the_cluster_of_new_samples(tmp_path: Path) -> None:
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    splits = blobs()
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


def test_umap_keeps_its_embedding_and_says_that_it_cannot_place_new_data(tmp_path: Path) -> None:
    splits = blobs()
    model, _ = fitted(tmp_path / "run", UMAPConfig(neighbors=10), splits)
    assert model.embedding.shape == (len(splits.train), 2)
    centres = np.stack([model.embedding[splits.train.array("target") == label].mean(0) for label in range(3)])
    spread = model.embedding[splits.train.array("target") == 0].std()
    assert np.linalg.norm(centres[:, None] - centres, axis=-1)[~np.eye(3, dtype=bool)].min() > spread
    with pytest.raises(UserError, match="a UMAP embedding cannot place new data"):
        model(whole(splits.test))


def test_more_clusters_than_samples_and_more_components_than_numbers_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="clusters = 500: it takes at most the 210 samples"):
        fitted(tmp_path / "a", KMeansConfig(clusters=500), blobs())
    with pytest.raises(UserError, match="components = 4: it takes at most the 3 numbers of a sample"):
        fitted(tmp_path / "b", PCAConfig(components=4), blobs())


def test_the_evidence_lower_bound_is_that_of_torchs_distributions() -> None:
    rng = generator(1, "numbers")
    mean, log_std, values, decoded = (torch.randn(4, 5, generator=rng) for _ in range(4))
    prior = Normal(torch.zeros(4, 5), torch.ones(4, 5))
    divergence = kl_from_standard_normal(mean, log_std)
    torch.testing.assert_close(divergence, kl_divergence(Normal(mean, log_std.exp()), prior).sum(1))
    assert torch.equal(kl_from_standard_normal(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2))
    scale = torch.tensor(-0.3)
    likelihood = normal_log_likelihood(values, decoded, scale)
    torch.testing.assert_close(likelihood, Normal(decoded, scale.exp()).log_prob(values).sum(1))
    loss = elbo_loss(likelihood, divergence, 1.0)
    torch.testing.assert_close(loss.sum / loss.count, (divergence - likelihood).mean())


def test_the_bound_is_below_the_likelihood_and_reaches_it_where_the_posterior_is_right() -> None:
    """x = z + noise of a standard normal z: then p(x) is normal with variance 1 + s^2, and the posterior is known."""
    rng, s = generator(1, "numbers"), 0.5
    x = torch.randn(1, 1, generator=rng).expand(20_000, 1)
    exact = Normal(0.0, (1 + s**2) ** 0.5).log_prob(x[:1, 0])
    variance = s**2 / (1 + s**2)
    bounds = []
    for mean, std in ((x / (1 + s**2), variance**0.5), (x * 0.3, 0.8)):
        log_std = torch.full_like(x, float(np.log(std)))
        code = mean + std * torch.randn(x.shape, generator=rng)
        likelihood = normal_log_likelihood(x, code, torch.tensor(np.log(s)))
        bounds.append(float((likelihood - kl_from_standard_normal(mean, log_std)).mean()))
    assert bounds[0] == pytest.approx(float(exact), abs=0.03)
    assert bounds[1] < float(exact) - 0.05


def test_the_assignments_of_deep_clustering_are_those_of_the_paper() -> None:
    codes, centres = torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [1.0]])
    q = soft_assignment(codes, centres)
    torch.testing.assert_close(q, torch.tensor([[1 / 1.5, 0.5 / 1.5], [0.2 / 0.7, 0.5 / 0.7]]))
    f = [float(q[:, 0].sum()), float(q[:, 1].sum())]
    first = [float(q[0, 0]) ** 2 / f[0], float(q[0, 1]) ** 2 / f[1]]
    p = target_distribution(q)
    assert p[0].tolist() == pytest.approx([first[0] / sum(first), first[1] / sum(first)], abs=1e-6)
    by_hand = float((p[0] * (p[0] / q[0]).log()).sum())
    assert float(kl(p, q)[0]) == pytest.approx(by_hand, abs=1e-6)
    assert kl(q, q).abs().max() < 1e-7


def test_deep_clustering_sharpens_what_an_autoencoder_began(tmp_path: Path) -> None:
    splits = blobs()
    first = AutoencoderRunConfig(model=SHAPE, **{**SHORT, "epochs": 30})
    with Run.create("made_up", first, folder=tmp_path / "a", tracker="none") as run:
        autoencoder.train(first, run, splits)
    assert run.result["metrics"]["test/r2"] > 0.6
    second = DeepClusteringRunConfig(clusters=3, **{**SHORT, "epochs": 20})
    with Run.create("made_up", second, folder=tmp_path / "b", tracker="none") as run:
        deep_clustering.train(second, run, splits, load_model(tmp_path / "a", "last"))
    assert run.result["metrics"]["test/adjusted_rand_index"] > 0.95
    model = load_model(tmp_path / "b", "last")
    assert model.assignment(whole(splits.test)).shape == (len(splits.test), 3)


def test_a_variational_autoencoder_reconstructs_and_makes_new_samples(tmp_path: Path) -> None:
    shape = VariationalAutoencoderConfig(network=NETWORK, code=3)
    learns = VariationalConfig(optimizer=OptimizerConfig(learning_rate=5e-3))
    config = VariationalRunConfig(model=shape, algorithm=learns, **{**SHORT, "epochs": 100})
    with Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run:
        variational_autoencoder.train(config, run, blobs())
    measured = run.result["metrics"]
    assert measured["test/r2"] > 0.5
    assert measured["test/evidence_lower_bound"] > -3 * 0.5 * np.log(2 * np.pi * np.e)  # that of one normal for all
    model = load_model(run.folder, "last")
    assert isinstance(model, VariationalAutoencoder)
    assert model.sample(200, generator(1, "new")).std(0).min() > 0.3


@pytest.mark.parametrize("as_image", [True, False])
def test_accumulated_micro_batches_are_the_big_batch(as_image: bool) -> None:
    digits = sklearn_dataset("digits")
    batch, found = digits.gather(torch.arange(30)), []
    for micro_batches in (1, 4):
        model = Autoencoder(digits.inputs, None, replace(SHAPE, flat=not as_image), generator(1, "weights"))
        config = AutoencodingConfig(optimizer=OptimizerConfig("sgd", learning_rate=0.01, micro_batches=micro_batches))
        learner = Autoencoding(model, config, until=Budget(10, "epochs"), seed=1)
        learner.update(batch, Counters())
        found.append(model.state_dict())
    for key, value in found[0].items():
        torch.testing.assert_close(found[1][key], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("restores", [True, False])
def test_a_changed_image_is_reconstructed_as_it_is_or_as_it_was(restores: bool) -> None:
    digits = sklearn_dataset("digits")
    batch, changes = digits.gather(torch.arange(30)), AugmentationConfig(shift_pixels=2.0)
    model = Autoencoder(digits.inputs, None, SHAPE, generator(1, "weights"))
    learner = Autoencoding(model, AutoencodingConfig(changes, restores=restores), until=Budget(10, "epochs"), seed=1)
    changed = augment_inputs(batch, model.inputs, changes, generator(1, "augmentation"))
    with torch.no_grad():
        errors = (model(changed) - model.original(batch if restores else changed)).square().sum(1)
    metrics, _ = learner.update(batch, Counters())
    assert metrics["optimizer/loss"].value == pytest.approx(float(errors.mean()), rel=1e-5)


def test_categories_are_no_numbers_to_project() -> None:
    data = of_arrays(np.array([0, 1, 2, 1]), None, "made up")
    with pytest.raises(UserError, match=r"input is Discrete\(3\): it takes numbers or images"):
        Autoencoder(data.inputs, None, SHAPE, generator(1, "weights"))
