"""The linear probe: which labels it has, and that it reads off what the features say."""

from __future__ import annotations

import numpy as np
import torch

from pretraining.baselines.probe import labelled_part, linear_probe
from tests.support.data import clouds


def test_a_part_of_the_labels_is_of_each_class_and_always_the_same() -> None:
    splits = clouds()
    few = labelled_part(splits, 0.1, seed=1)
    for whole, part in ((splits.train, few.train), (splits.validation, few.validation)):
        counts, kept = (np.bincount(data.array("target")) for data in (whole, part))
        assert kept.tolist() == [max(1, round(0.1 * count)) for count in counts]
    assert few.test is splits.test
    assert labelled_part(splits, 0.1, seed=1).train.sha256 == few.train.sha256
    assert labelled_part(splits, 0.1, seed=2).train.sha256 != few.train.sha256


def test_it_reads_off_what_the_features_say() -> None:
    splits = clouds()
    scale = torch.tensor([1.0, 0.01, 100.0])
    assert linear_probe(lambda batch: batch["input"] * scale, splits)["accuracy"] == 1.0
    assert linear_probe(lambda batch: torch.zeros(len(batch["input"]), 1), splits)["accuracy"] < 0.5
