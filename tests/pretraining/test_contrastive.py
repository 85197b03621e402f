"""Contrastive learning: the loss by hand, pairs in time, what it refuses, and features that a plane can read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from pretraining import contrastive
from pretraining.baselines.probe import labelled_part, linear_probe
from pretraining.contrastive import (
    ContrastiveConfig,
    ContrastiveEncoderConfig,
    ContrastiveRunConfig,
    nt_xent,
    time_pairs,
)
from pretraining.model import load_model
from training.data.augmentation import AugmentationConfig
from training.data.sources import of_arrays, sklearn_dataset
from training.data.splits import SplitConfig, split
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.run import Run
from training.seeding import generator

RESUMED = {  # two stages: images without labels, then a tenth of the labels
    "digits_contrastive": [
        *("--steps", "120", "--scratch.steps", "120", "--scratch.threads", "1", "--minibatch-size", "64"),
        *("--model.network.channels", "2", "--scratch.model.network.channels", "2"),
    ],
}


def test_nt_xent_is_the_equation() -> None:
    rng = generator(1, "projections")
    z = F.normalize(torch.randn(6, 4, generator=rng), dim=1)
    by_hand = 0.0
    for i in range(6):
        j = (i + 3) % 6
        others = [float(torch.exp(z[i] @ z[k] / 0.5)) for k in range(6) if k != i]
        by_hand += -np.log(float(torch.exp(z[i] @ z[j] / 0.5)) / sum(others))
    loss = nt_xent(z, 0.5)
    assert (float(loss.sum), loss.count) == (pytest.approx(by_hand, rel=1e-5), 6)
    same = nt_xent(torch.eye(3).repeat(2, 1), 0.01)  # both views alike, all else at right angles
    assert float(same.sum) == pytest.approx(0.0, abs=1e-6)
    assert float(same.metrics["learner/accuracy"].value) == 1.0


def test_a_contrastive_loss_refuses_micro_batches() -> None:
    with pytest.raises(UserError, match=r"optimizer\.micro_batches = 2: it takes 1: a contrastive loss"):
        ContrastiveConfig(optimizer=OptimizerConfig(micro_batches=2))


def test_contrastive_features_say_more_than_those_of_an_untrained_network(tmp_path: Path) -> None:
    digits = sklearn_dataset("digits")
    splits = split(digits, SplitConfig("stratified", test=0.4), seed=1)
    shape = ContrastiveEncoderConfig(network=NetworkConfig(hidden=(32,), cnn="small", activation="relu"), projection=16)
    config = ContrastiveRunConfig(
        epochs=None,
        steps=200,
        minibatch_size=64,
        threads=1,
        model=shape,
        algorithm=ContrastiveConfig(
            augmentation=AugmentationConfig(1.0, 10.0), optimizer=OptimizerConfig(learning_rate=2e-3)
        ),
    )
    with Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run:
        contrastive.train(config, run, splits)
    assert run.result["metrics"]["test/accuracy"] > 0.1  # of 180 views, which one is of the same image
    labelled = labelled_part(splits, 0.05, seed=1)
    assert [len(part) for part in labelled] == [40, 10, 719]
    untrained = contrastive.ContrastiveEncoder(digits.inputs, None, shape, generator(1, "weights"))
    accuracy = [linear_probe(model.features, labelled)["accuracy"] for model in (load_model(run.folder), untrained)]
    assert accuracy[0] > accuracy[1] + 0.02


def test_likeness_is_not_rounded_by_a_half_precision() -> None:
    rows = torch.nn.functional.normalize(torch.randn(16, 8, generator=generator(3)), dim=1)
    expected = nt_xent(rows, 0.1).sum
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(nt_xent(rows, 0.1).sum, expected)


def test_pairs_in_time_stay_in_their_trajectory(tmp_path: Path) -> None:
    """The place on a circle is in the features when what follows is to be recognized."""
    group = np.repeat(np.arange(8), 50)
    angle = np.tile(np.linspace(0, 2 * np.pi, 50), 8) + group
    x = np.stack([np.cos(angle), np.sin(angle), np.random.default_rng(0).normal(size=400)], 1).astype(np.float32)
    pairs = time_pairs(of_arrays(x, None, "circles", group=group), 2)
    assert len(pairs) == 8 * 48
    assert np.array_equal(pairs.array("later/input")[:48], x[2:50])
    assert np.array_equal(pairs.array("later/input")[48], x[52])
    config = ContrastiveRunConfig(
        epochs=30,
        threads=1,
        minibatch_size=64,
        model=ContrastiveEncoderConfig(network=NetworkConfig(hidden=(32,), activation="relu"), projection=4),
        algorithm=ContrastiveConfig(optimizer=OptimizerConfig(learning_rate=3e-3)),
    )
    with Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run:
        contrastive.train(config, run, split(pairs, SplitConfig("grouped"), seed=1))
    model = load_model(run.folder)
    moved = [model({"input": torch.tensor([[1.0, 0.0, 0.0], other])}) for other in ([0.0, 1.0, 0.0], [1.0, 0.0, 1.0])]
    around, noise = ((pair[0] - pair[1]).norm() for pair in moved)
    assert around > 2 * noise
