"""Where datasets come from: scikit-learn's own, NumPy, images, text, Hugging Face; `tables.py` reads CSV and Parquet.

Nothing is downloaded and nothing in a file is executed. Packages of the extra `data` are imported where they are used.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from training.data.dataset import Dataset, numbers, pixels
from training.errors import UserError
from training.extras import extra
from training.machine import require_memory

SklearnName = Literal["breast_cancer", "diabetes", "digits", "iris", "wine"]
IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
_DIGIT_SCALE = 15
"""The digits' pixels are 0 to 16; as uint8 images they are 0 to 240, to the bit the same picture."""


def sklearn_dataset(name: SklearnName) -> Dataset:
    """A dataset that ships with scikit-learn: digits as images, the others as standardizable numbers."""
    with extra("data"):
        from sklearn import datasets
    loaded = getattr(datasets, f"load_{name}")()
    if name == "digits":
        image = (loaded.images * _DIGIT_SCALE).astype(np.uint8)
        return of_arrays(image, loaded.target, f"sklearn {name}", labels=[str(label) for label in loaded.target_names])
    labels = None if name == "diabetes" else [str(label) for label in loaded.target_names]
    columns = [str(column) for column in loaded.feature_names]
    target = loaded.target if labels is not None else loaded.target.astype(np.float32)
    return of_arrays(loaded.data.astype(np.float32), target, f"sklearn {name}", labels=labels, columns=columns)


def of_arrays(
    inputs: NDArray[Any] | Mapping[str, NDArray[Any]],
    target: NDArray[Any] | None,
    source: str,
    *,
    labels: Sequence[str] | None = None,
    columns: Sequence[str] = (),
    **more: NDArray[Any],
) -> Dataset:
    """NumPy arrays [S, ...] as a dataset.

    Args:
        inputs: float numbers become float32; uint8 of two and three dimensions a sample are images; other integers are
            categories from 0. A mapping names several.
        target: classes from 0 (integers) or numbers; None where nothing is to be said.
        source: where they are from.
        labels: the names of the classes.
        columns: the names of the columns of one input.
        more: `group`, `time` or what else belongs to a sample.
    """
    named = {"input": inputs} if not isinstance(inputs, Mapping) else {f"input/{k}": v for k, v in inputs.items()}
    arrays = {key: _usable(key, value, source) for key, value in named.items()}
    found: dict[str, Space[Any]] = {key: _space(value) for key, value in arrays.items()}
    if target is not None:
        arrays["target"] = target = _usable("target", target, source)
        if target.dtype == np.int64:
            found["target"] = spaces.Discrete(len(labels) if labels is not None else int(target.max()) + 1)
        else:
            found["target"] = numbers(target.shape[1:])
    return Dataset(arrays | more, found, source, labels=tuple(labels or ()), columns=tuple(columns))


def numpy_dataset(path: str | Path) -> Dataset:
    """An `.npz` file, or a folder of `.npy` files, which are mapped and so may be larger than memory.

    Raises UserError where there is no `input`, or an array needs pickle.
    """
    path = Path(path)
    files = {file.stem: file for file in sorted(path.glob("*.npy"))} if path.is_dir() else {}
    try:
        if path.is_dir():
            arrays = {name: np.load(file, mmap_mode="r") for name, file in files.items()}
        else:
            with np.load(path) as archive:
                unpacked = sum(member.file_size for member in archive.zip.infolist())
                require_memory(unpacked, f"{path}, unpacked,", "a folder of .npy files is mapped and takes none")
                arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, BadZipFile, zlib.error) as error:
        raise UserError(f"{path} cannot be read as NumPy arrays without pickle ({error})") from None
    inputs = {
        name.removeprefix("input.") or "input": arrays.pop(name) for name in [*arrays] if name.startswith("input")
    }
    if not inputs:
        raise UserError(f"{path} has no array 'input' or 'input.<name>': it has {', '.join(arrays) or 'none'}")
    alone = inputs["input"] if list(inputs) == ["input"] else inputs
    return of_arrays(alone, arrays.pop("target", None), str(path), **arrays)


def image_folder(path: str | Path) -> Dataset:
    """Images in one folder for each class, `<path>/<class>/<image>`: [S, H, W] grey or [S, H, W, 3].

    Raises UserError where there are none, one cannot be read, or one has another size than the first.
    """
    with extra("data"):
        from PIL import Image, UnidentifiedImageError
    root = Path(path)
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []
    files = [
        (number, file)
        for number, folder in enumerate(folders)
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not files:
        raise UserError(
            f"{root} has no images: it takes a folder for each class with files {', '.join(IMAGE_SUFFIXES)}"
        )
    images: list[NDArray[np.uint8]] = []
    for _, file in files:
        try:
            with Image.open(file) as opened:
                grey = opened.mode in ("1", "L", "LA", "I", "F", "I;16")
                image = np.asarray(opened.convert("L" if grey else "RGB"))
        except (OSError, UnidentifiedImageError) as error:
            raise UserError(f"{file} cannot be read as an image ({error})") from None
        if images and image.shape != images[0].shape:
            raise UserError(
                f"{file} is an image of {list(image.shape)}, {files[0][1]} of {list(images[0].shape)}: "
                "they take one size and one kind of colour"
            )
        if not images:  # once alone, once side by side
            needed = 2 * len(files) * image.nbytes
            require_memory(needed, f"{root} of {len(files):,} images", "smaller images, or .npy files, take less")
        images.append(image)
    target = np.array([number for number, _ in files])
    return of_arrays(np.stack(images), target, str(root), labels=[folder.name for folder in folders])


def read_text(file: str | Path) -> str:
    """The text of a file in UTF-8. Raises UserError where it is empty or is no text."""
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from None
    if not content.strip():
        raise UserError(f"{file} is empty: it takes text")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is no text in UTF-8: byte {error.start} is 0x{content[error.start]:02x}") from None
    if "\0" in text:
        raise UserError(f"{file} is binary: it holds a zero byte at {text.index(chr(0))}")
    return text


def hugging_face(
    path: str | Path, *, split: str | None = None, target: str, inputs: Sequence[str] | None = None
) -> Dataset:
    """A dataset that `datasets.save_to_disk` wrote into a local folder.

    Args:
        path: to its folder.
        split: of a folder with several.
        target: the column that is to be said.
        inputs: the columns that are seen; None: all others.

    Raises:
        UserError: it cannot be read, or lacks the split or a column.
    """
    with extra("language"):
        import datasets
    try:
        loaded = datasets.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a Hugging Face dataset ({error})") from None
    if isinstance(loaded, datasets.DatasetDict):
        if split not in loaded:
            raise UserError(f"{path} has the splits {', '.join(loaded)}: name one of them, not {split!r}")
        loaded = loaded[split]
    names = list(inputs) if inputs is not None else [name for name in loaded.column_names if name != target]
    for name in (*names, target):
        if name not in loaded.column_names:
            raise UserError(f"{path} has no column {name!r}: it has {', '.join(loaded.column_names)}")
    columns = loaded.with_format("numpy")
    arrays = {name: np.asarray(columns[name][:]) for name in names}
    feature = loaded.features[target]
    labels = list(feature.names) if isinstance(feature, datasets.ClassLabel) else None
    alone = arrays[names[0]] if len(names) == 1 else arrays
    return of_arrays(alone, np.asarray(columns[target][:]), str(path), labels=labels)


def _usable(key: str, value: NDArray[Any], source: str) -> NDArray[Any]:
    """Floats as float32, images as they are, all other integers as int64; what is that already stays mapped."""
    if value.dtype == np.uint8 and value.ndim >= 3 and key != "target":
        return value
    if np.issubdtype(value.dtype, np.floating):
        return value if value.dtype == np.float32 else value.astype(np.float32)
    if np.issubdtype(value.dtype, np.integer) or value.dtype == np.bool_:
        return value if value.dtype == np.int64 else value.astype(np.int64)
    raise UserError(f"{source}: {key} is of {value.dtype}: it takes numbers")


def _space(value: NDArray[Any]) -> Space[Any]:
    if value.dtype == np.uint8:
        return pixels(value.shape[1:])
    if value.dtype == np.float32:
        return numbers(value.shape[1:])
    highest = int(value.max()) + 1
    if value.ndim == 1:
        return spaces.Discrete(highest)
    return spaces.MultiDiscrete(np.full(value.shape[1:], highest))
