"""Deep clustering: the paper's equations by hand, and that it sharpens what an autoencoder began."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pretraining import autoencoder, deep_clustering
from pretraining.autoencoder import (
    AutoencoderConfig,
    AutoencoderRunConfig,
)
from pretraining.deep_clustering import DeepClusteringRunConfig, kl, soft_assignment, target_distribution
from pretraining.model import load_model
from tests.support.data import clouds, whole
from training.networks import NetworkConfig
from training.run.run import Run

NETWORK = NetworkConfig(hidden=(16,), activation="relu", cnn="small")


SHAPE = AutoencoderConfig(network=NETWORK, code=3)


SHORT: dict[str, Any] = {"epochs": 2, "minibatch_size": 32, "threads": 1}


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
    splits = clouds()
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
