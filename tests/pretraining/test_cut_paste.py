"""CutPaste: patches that are what they are called, a stream that goes on to the bit, and copies that are found."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pretraining.cut_paste import BAD, DEFECTS, GOOD, CutPasted, as_dataset, crops, damaged, paste, pasted
from training.core import Counters
from training.data.quality.report import examine
from training.data.splits import Splits
from training.errors import UserError
from training.experiments import load_experiment

RESUMED = {"brick_defects": ["--steps", "200", "--minibatch-size", "8", "--model.network.channels", "2",
                             "--test-patches", "10", "--mapped", "1"]}  # fmt: skip
SURFACE = np.random.default_rng(0).uniform(0, 255, (40, 50))


def test_good_patches_are_of_the_surface_and_bad_ones_are_not() -> None:
    made = pasted(SURFACE, 16, 20, np.random.default_rng(1))
    windows = np.lib.stride_tricks.sliding_window_view(np.round(SURFACE).astype(np.uint8), (16, 16)).reshape(-1, 256)
    there = [bool((windows == patch.reshape(-1)).all(1).any()) for patch in made.array("input")]
    assert there == [True] * 10 + [False] * 10
    assert list(made.array("target")) == [GOOD] * 10 + [BAD] * 10
    with pytest.raises(UserError, match="patch = 64: it takes at most 40"):
        crops(SURFACE, 64, 1, np.random.default_rng(1))


def test_a_pasted_piece_leaves_the_rest_as_it_was() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        (image,) = crops(SURFACE, 32, 1, rng)
        before = image.copy()
        paste(image, SURFACE, rng)
        changed = (image != before).mean()
        assert 0 < changed < 0.5
        assert image.min() >= 0
        assert image.max() <= 255


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_defect_is_where_it_is_said_to_be(kind: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        (image,) = crops(SURFACE, 32, 1, rng)
        before = image.copy()
        where = damaged(image, kind, rng)
        assert where.any()
        change = np.abs(image - before)
        assert change[where].mean() > 5 * change[~where].mean()
    with pytest.raises(UserError, match="kind = 'dent': it takes one of scratch, stain, smear"):
        damaged(SURFACE.copy(), "dent", rng)


def test_the_stream_goes_on_to_the_bit_and_counts_epochs() -> None:
    stream, now = CutPasted(SURFACE, 16, 4, epoch=2, seed=1), Counters()
    for _ in range(3):
        batch, now, _ = stream.next(now)
    assert (now.samples, now.epochs) == (12, 1)
    again = CutPasted(SURFACE, 16, 4, epoch=2, seed=1)
    again.load_state_dict(stream.state_dict())
    one, other = stream.next(now)[0], again.next(now)[0]
    assert torch.equal(one["input"], other["input"])
    assert not torch.equal(one["input"], batch["input"])


def test_patches_that_are_in_two_parts_are_found() -> None:
    pytest.importorskip("skimage")
    experiment = load_experiment("brick_defects", "experiments")
    clean = experiment.data(experiment.Config(test_patches=20, patch=16))
    assert "split leak" not in {one.kind for one in examine(clean).wrong}
    copied = as_dataset(clean.train.array("input")[:40].astype(np.float64), np.arange(40) % 2, "copied")
    leaking = Splits(clean.train, clean.validation, copied)
    assert [one for one in examine(leaking).wrong if one.kind == "split leak"]
