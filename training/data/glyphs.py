"""Characters as pictures of 28 x 28 pixels, drawn here: those that the twelve DejaVu faces of Matplotlib share.

A character is kept only where no face draws it exactly as it draws an earlier one: Latin, Greek and Cyrillic A are one
class, the Latin. The fonts are free (https://dejavu-fonts.github.io/License.html) and come with Matplotlib; Pillow
draws.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from training.data.augmentation import AugmentationConfig, augment
from training.data.dataset import Dataset
from training.data.sources import of_arrays
from training.data.splits import Splits, check_classes, check_leaks
from training.errors import UserError, require
from training.extras import extra
from training.seeding import generator

SIZE = 28
POINTS = 20
"""The size of the font in pixels: larger ones are cut at the edge."""
FACES = tuple(
    f"DejaVu{family}"
    for family in (
        *("Sans", "Sans-Bold", "Sans-Oblique", "Sans-BoldOblique"),
        *("SansMono", "SansMono-Bold", "SansMono-Oblique", "SansMono-BoldOblique"),
        *("Serif", "Serif-Bold", "Serif-Italic", "Serif-BoldItalic"),
    )
)
WITHOUT = "CMZ"
"""Unicode's categories of what is not drawn alone: controls, marks upon other characters, spaces."""
DISTORTION = AugmentationConfig(shift_pixels=2.0, rotate_degrees=8.0, scale=0.1, shear=0.1, noise=0.1)


@cache
def glyphs() -> Dataset:
    """Every character in every face, face by face: `input` [S, 28, 28] uint8, its class `target`, `face` and `code`.

    `face` [S] counts `FACES`, `code` [S] is Unicode's number. The labels are Unicode's names. Raises UserError where
    Matplotlib came without its fonts.
    """
    with extra("plots"):
        import matplotlib
        from matplotlib.ft2font import FT2Font
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    files = [folder / f"{face}.ttf" for face in FACES]
    for file in files:
        if not file.exists():
            raise UserError(f"{file} is missing: it takes the Matplotlib of pip, which comes with its fonts")
    shared = set.intersection(*(set(FT2Font(str(file)).get_charmap()) for file in files))
    codes = [code for code in sorted(shared) if _is_drawn_alone(chr(code))]
    drawn = np.stack([_drawn(file, codes) for file in files])
    kept = _distinct(drawn)
    codes, drawn = [codes[place] for place in kept], drawn[:, kept]
    faces, classes = np.meshgrid(np.arange(len(FACES)), np.arange(len(codes)), indexing="ij")
    return of_arrays(
        drawn.reshape(-1, SIZE, SIZE),
        classes.reshape(-1),
        f"{len(codes):,} characters in {len(FACES)} DejaVu faces",
        labels=[unicodedata.name(chr(code)) for code in codes],
        face=faces.reshape(-1),
        code=np.array(codes)[classes.reshape(-1)],
    )


def by_face(data: Dataset, *, test: int, validation: int, seed: int) -> Splits:
    """Whole faces are held out, which ones the seed says.

    Some symbols are drawn alike in several faces. Of the held-out faces only those pictures are kept that no face of
    the training split has, so that everything measured is new.
    """
    require(validation >= 1, "validation_faces", validation, "at least 1")
    most = len(FACES) - validation - 1
    require(1 <= test <= most, "test_faces", test, f"1 to {most}, which leaves one face to learn from")
    order = np.random.default_rng(generator(seed, "faces").initial_seed()).permutation(len(FACES))
    face = data.array("face")
    held = order[:test], order[test : test + validation]
    tested, validated, train = (
        data.select(np.flatnonzero(np.isin(face, faces))) for faces in (*held, order[test + validation :])
    )
    validated = new_to(validated, train)
    splits = Splits(train, validated, new_to(new_to(tested, train), validated))
    check_leaks(splits)
    check_classes(splits)
    return splits


def by_class(data: Dataset, *, test: int, validation: int, seed: int) -> Splits:
    """Whole classes are held out, which ones the seed says; the classes of each split count from 0."""
    classes = len(data.labels)
    require(validation >= 1, "validation_classes", validation, "at least 1")
    most = classes - validation - 1
    require(1 <= test <= most, "test_classes", test, f"1 to {most}, which leaves one class to learn from")
    order = np.random.default_rng(generator(seed, "classes").initial_seed()).permutation(classes)
    parts = order[test + validation :], order[test : test + validation], order[:test]
    splits = Splits(*(of_classes(data, np.sort(part)) for part in parts))
    check_leaks(splits)
    return splits


def of_classes(data: Dataset, classes: NDArray[np.int64]) -> Dataset:
    """The samples of these classes, which count from 0 in the order given."""
    number = np.full(len(data.labels), -1)
    number[classes] = np.arange(len(classes))
    rows = np.flatnonzero(number[data.array("target")] >= 0)
    arrays: dict[str, NDArray[Any]] = {key: data.array(key)[rows] for key in data.arrays}
    arrays["target"] = number[arrays["target"]]
    found = {**data.spaces, "target": spaces.Discrete(len(classes))}
    labels = tuple(data.labels[label] for label in classes)
    return replace(data, arrays=arrays, spaces=found, labels=labels, rows=None)


def by_name(data: Dataset, *, test: int, validation: int, seed: int) -> Splits:
    """Whole classes are held out whose names are new but whose words are not: each is in a name that is learned from.

    The classes keep their numbers, so that any name can be asked of any sample.
    """
    require(validation >= 1, "validation_classes", validation, "at least 1")
    require(test >= 1, "test_classes", test, "at least 1")
    words = [set(name.split()) for name in data.labels]
    count = Counter(word for own in words for word in own)
    held: list[int] = []
    rng = np.random.default_rng(generator(seed, "names").initial_seed())
    for label in rng.permutation(len(words)).tolist():
        if len(held) < test + validation and all(count[word] > 1 for word in words[label]):
            held.append(label)
            count -= Counter(words[label])
    takes = f"at most {len(held) - validation}, the names whose words are in others too, less validation_classes"
    require(len(held) == test + validation, "test_classes", test, takes)
    target = data.array("target")
    parts = np.isin(target, held, invert=True), np.isin(target, held[test:]), np.isin(target, held[:test])
    splits = Splits(*(data.select(np.flatnonzero(part)) for part in parts))
    check_leaks(splits)
    return splits


def with_names(data: Dataset) -> Dataset:
    """The pictures as `input/seen`, and as `input/named` [S, L] the words of each one's name, filled up with 0."""
    vocabulary = {word: number for number, word in enumerate(sorted({w for n in data.labels for w in n.split()}), 1)}
    longest = max(len(name.split()) for name in data.labels)
    names = np.zeros((len(data.labels), longest), np.int64)
    for row, name in zip(names, data.labels, strict=True):
        numbers = [vocabulary[word] for word in name.split()]
        row[: len(numbers)] = numbers
    arrays: dict[str, NDArray[Any]] = {key: data.array(key) for key in data.arrays if key != "input"}
    arrays |= {"input/seen": data.array("input"), "input/named": names[data.array("target")]}
    found = {
        "input/seen": data.spaces["input"],
        "input/named": spaces.MultiDiscrete(np.full(longest, len(vocabulary) + 1)),
        "target": data.spaces["target"],
    }
    return replace(data, arrays=arrays, spaces=found, rows=None)


def without_repeats(data: Dataset, *, least: int) -> Dataset:
    """Of each class every drawing once, and only the classes with at least so many; they count from 0.

    Several faces draw some symbols alike: to recognize such a drawing again would say nothing.
    """
    rows, seen = [], set()
    for row, (label, picture) in enumerate(zip(data.array("target").tolist(), data.array("input"), strict=True)):
        if (label, picture.tobytes()) not in seen:
            seen.add((label, picture.tobytes()))
            rows.append(row)
    kept = data.select(np.array(rows))
    count = np.bincount(kept.array("target"), minlength=len(data.labels))
    require(bool((count >= least).any()), "least", least, f"at most {count.max()}, the drawings of any class")
    return of_classes(kept, np.flatnonzero(count >= least))


def new_to(data: Dataset, seen: Dataset) -> Dataset:
    """The samples whose picture is not among those seen, to the pixel."""
    known = {picture.tobytes() for picture in seen.array("input")}
    return data.select(np.flatnonzero([picture.tobytes() not in known for picture in data.array("input")]))


def distorted(data: Dataset, config: AugmentationConfig, name: str, *, seed: int, copies: int = 1) -> Dataset:
    """Every sample `copies` times, each changed once and for all; the seed and the name say how."""
    require(copies >= 1, "copies", copies, "at least 1")
    rows = np.tile(np.arange(len(data)), copies)
    arrays: dict[str, NDArray[Any]] = {key: data.array(key)[rows] for key in data.arrays}
    rng = generator(seed, "distorted", name)
    parts = torch.from_numpy(arrays["input"]).split(4096)
    arrays["input"] = torch.cat([augment(part, config, rng) for part in parts]).numpy()
    return replace(data, arrays=arrays, rows=None)


def with_distorted_held_out(splits: Splits, config: AugmentationConfig, *, seed: int) -> Splits:
    """The splits, with what is measured distorted once; what is learned from is distorted anew each time."""
    held_out = (distorted(getattr(splits, part), config, part, seed=seed) for part in ("validation", "test"))
    return Splits(splits.train, *held_out)


def _is_drawn_alone(character: str) -> bool:
    return unicodedata.category(character)[0] not in WITHOUT and bool(unicodedata.name(character, ""))


def _drawn(file: Path, codes: list[int]) -> NDArray[np.uint8]:
    """[codes, 28, 28] with the middle of the line in that of the picture, so that a comma is below an apostrophe."""
    with extra("plots"):
        from PIL import Image, ImageDraw, ImageFont
    font = ImageFont.truetype(str(file), POINTS, layout_engine=ImageFont.Layout.BASIC)
    pictures = np.empty((len(codes), SIZE, SIZE), np.uint8)
    for place, code in enumerate(codes):
        picture = Image.new("L", (SIZE, SIZE))
        ImageDraw.Draw(picture).text((SIZE / 2, SIZE / 2), chr(code), fill=255, font=font, anchor="mm")
        pictures[place] = np.asarray(picture)
    return pictures


def _distinct(drawn: NDArray[np.uint8]) -> list[int]:
    """The characters of [faces, characters, 28, 28] that are never blank and in no face drawn as one kept before."""
    seen: list[set[bytes]] = [set() for _ in drawn]
    kept = []
    for place in range(drawn.shape[1]):
        pictures = [face[place].tobytes() for face in drawn]
        blank = any(not face[place].any() for face in drawn)
        if not blank and not any(picture in known for picture, known in zip(pictures, seen, strict=True)):
            kept.append(place)
            for picture, known in zip(pictures, seen, strict=True):
                known.add(picture)
    return kept
