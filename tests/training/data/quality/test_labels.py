"""Wrong labels are found where classes can be told apart; where they overlap that is a note."""

from __future__ import annotations

import numpy as np

from training.data.quality.labels import imbalance, label_errors, out_of_fold

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 3, 600)
APART = (4 * np.eye(3)[CLASSES] + RNG.normal(size=(600, 3))).astype(np.float32)


def turned(count: int) -> np.ndarray:
    labels = CLASSES.copy()
    labels[:count] = (labels[:count] + 1) % 3
    return labels


def test_turned_labels_are_found_and_good_ones_are_not() -> None:
    (found,) = label_errors(APART, turned(40))
    assert (found.kind, found.level) == ("label errors", "wrong")
    assert len({*found.rows} & {*range(40)}) >= 32
    assert len({*found.rows} - {*range(40)}) <= 8
    assert all(finding.level == "note" for finding in label_errors(APART, CLASSES))


def test_classes_that_overlap_are_no_error() -> None:
    mixed = RNG.normal(size=(600, 3)).astype(np.float32)
    labels = (mixed[:, 0] + 1.5 * RNG.normal(size=600) > 0).astype(np.int64)
    assert all(finding.level == "note" for finding in label_errors(mixed, labels))


def test_probabilities_of_a_sample_do_not_come_from_its_own_label() -> None:
    labels = RNG.integers(0, 2, 300)
    noise = RNG.normal(size=(300, 5))
    said = out_of_fold(noise, labels)
    assert 0.35 < (said.argmax(1) == labels).mean() < 0.65


def test_a_rare_class_is_named() -> None:
    target = np.repeat([0, 1, 2], [1_000, 900, 40])
    (found,) = imbalance(target, ("cat", "dog", "emu"))
    assert found.where == "class emu"
    assert list(imbalance(target[:1_900], ())) == []
