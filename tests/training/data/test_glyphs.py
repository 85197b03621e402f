"""Characters drawn here: what is kept, that nothing measured was seen, and that a leak planted on purpose is found."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import numpy as np
import pytest

from training.data.augmentation import AugmentationConfig
from training.data.dataset import Dataset
from training.data.glyphs import DISTORTION, FACES, by_class, by_face, distorted, glyphs, new_to, of_classes
from training.data.quality.report import examine
from training.data.sources import of_arrays
from training.data.splits import Splits, check_leaks
from training.errors import UserError


def pictures(data: Dataset) -> set[bytes]:
    return {picture.tobytes() for picture in data.array("input")}


def test_every_character_is_there_in_every_face_and_looks_like_no_other() -> None:
    data = glyphs()
    classes = len(data.labels)
    assert 2_000 < classes < 2_300
    assert len(data) == len(FACES) * classes
    assert data.inputs["input"].shape == (28, 28)
    for face in range(len(FACES)):
        of_face = data.select(np.flatnonzero(data.array("face") == face))
        assert of_face.array("target").tolist() == list(range(classes))
        assert len(pictures(of_face)) == classes
    assert (data.array("input").reshape(len(data), -1).max(1) > 0).all()
    named = dict(zip(data.labels, data.array("code")[:classes], strict=True))
    assert named["LATIN CAPITAL LETTER A"] == ord("A")
    assert "GREEK CAPITAL LETTER ALPHA" not in named  # drawn as the Latin one
    assert "COMBINING ACUTE ACCENT" not in named
    comma, apostrophe = (data.array("input")[data.labels.index(name)] for name in ("COMMA", "APOSTROPHE"))
    assert comma[:14].sum() == 0 == apostrophe[14:].sum()  # where on the line they are is kept


def test_held_out_faces_show_nothing_that_was_learned_from() -> None:
    splits = by_face(glyphs(), test=2, validation=1, seed=1)
    faces = [set(part.array("face").tolist()) for part in splits]
    assert [len(part) for part in faces] == [9, 1, 2]
    assert not faces[0] & faces[1] | faces[0] & faces[2] | faces[1] & faces[2]
    assert len(splits.train) == 9 * len(glyphs().labels)
    assert not pictures(splits.train) & pictures(splits.test)
    left_out = 2 * len(glyphs().labels) - len(splits.test)
    assert left_out > 500  # symbols that are drawn alike in several faces
    again = by_face(glyphs(), test=2, validation=1, seed=1)
    assert again.test.array("code").tolist() == splits.test.array("code").tolist()
    assert set(by_face(glyphs(), test=2, validation=1, seed=2).test.array("face")) != faces[2]


@pytest.mark.parametrize(("test", "validation", "told"), [(0, 1, "test_faces = 0"), (11, 1, "1 to 10"), (1, 0, "vali")])
def test_a_split_that_leaves_nothing_is_told(test: int, validation: int, told: str) -> None:
    with pytest.raises(UserError, match=told):
        by_face(glyphs(), test=test, validation=validation, seed=1)


def test_held_out_classes_count_from_zero_and_are_seen_nowhere_else() -> None:
    splits = by_class(glyphs(), test=500, validation=100, seed=1)
    codes = [set(part.array("code").tolist()) for part in splits]
    assert [len(part) for part in codes] == [len(glyphs().labels) - 600, 100, 500]
    assert not codes[0] & codes[1] | codes[0] & codes[2] | codes[1] & codes[2]
    for part in splits:
        target, code = part.array("target"), part.array("code")
        assert np.unique(target).tolist() == list(range(len(part.labels)))
        for label in (0, len(part.labels) - 1):
            assert {unicodedata.name(chr(number)) for number in code[target == label]} == {part.labels[label]}
    with pytest.raises(UserError, match=r"test_classes = 5000: it takes 1 to"):
        by_class(glyphs(), test=5_000, validation=100, seed=1)


def test_some_classes_of_a_view_are_those_asked_for() -> None:
    part = of_classes(glyphs().select(np.arange(50)), np.array([7, 3]))
    assert part.array("target").tolist() == [1, 0]
    assert part.labels == (glyphs().labels[7], glyphs().labels[3])


def test_distortions_are_of_the_seed_and_the_name() -> None:
    data = glyphs().select(np.arange(40))
    once = distorted(data, DISTORTION, "test", seed=1, copies=2)
    assert len(once) == 80
    assert once.array("target").tolist() == 2 * data.array("target").tolist()
    assert np.array_equal(once.array("input"), distorted(data, DISTORTION, "test", seed=1, copies=2).array("input"))
    for other in (distorted(data, DISTORTION, "train", seed=1), distorted(data, DISTORTION, "test", seed=2)):
        assert not np.array_equal(once.array("input")[:40], other.array("input"))
    assert not np.array_equal(once.array("input")[:40], once.array("input")[40:])
    same = distorted(data, AugmentationConfig(), "test", seed=1)
    assert np.array_equal(same.array("input"), data.array("input"))


def test_a_planted_leak_is_found_by_the_checks_and_by_the_data_report() -> None:
    splits = by_face(glyphs(), test=2, validation=1, seed=1)
    few = Splits(*(part.select(np.arange(0, len(part), len(part) // 150)) for part in splits))
    check_leaks(few)
    assert "split leak" not in examine(few, seed=1).kinds
    leaked = np.concatenate([few.train.array("input"), few.test.array("input")[:30]])
    target = np.concatenate([few.train.array("target"), few.test.array("target")[:30]])
    train = of_arrays(leaked, target, "leaking", labels=few.train.labels)
    test = replace(few.test, source="leaking")
    assert "split leak" in examine(Splits(train, few.validation, test), seed=1).kinds
    with pytest.raises(UserError, match=r"leaks: 30 inputs are in train and in test"):
        check_leaks(Splits(train, few.validation, test))
    assert len(new_to(few.test, train)) == len(few.test) - 30
