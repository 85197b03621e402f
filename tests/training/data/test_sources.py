"""Datasets from every source, and what is told of data that are no good."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

from envs.episodes.steps import minari_steps
from tests.support.memory import machine_of
from training.data.sources import (
    hugging_face,
    image_folder,
    numpy_dataset,
    of_arrays,
    read_text,
    sklearn_dataset,
)
from training.errors import UserError


def test_scikit_learns_sets_are_what_they_are_there() -> None:
    from sklearn.datasets import load_breast_cancer, load_digits

    digits, cancer, diabetes = (sklearn_dataset(name) for name in ("digits", "breast_cancer", "diabetes"))
    assert np.array_equal(digits.array("input") / 15, load_digits().images)
    assert digits.inputs["input"].dtype == np.uint8
    assert digits.target == spaces.Discrete(10)
    assert np.array_equal(cancer.array("input"), load_breast_cancer().data.astype(np.float32))
    assert cancer.labels == ("malignant", "benign")
    assert cancer.columns[0] == "mean radius"
    assert isinstance(diabetes.target, spaces.Box)


def test_mapped_files_give_the_same_samples_and_stay_on_the_disk(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"input": rng.normal(size=(50, 4)).astype(np.float32), "target": rng.integers(0, 3, 50)}
    np.savez(tmp_path / "whole.npz", **arrays)
    for name, value in arrays.items():
        np.save(tmp_path / f"{name}.npy", value)
    mapped, whole = numpy_dataset(tmp_path), numpy_dataset(tmp_path / "whole.npz")
    assert isinstance(mapped.arrays["input"], np.memmap)
    assert isinstance(mapped.arrays["target"], np.memmap)
    rows = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    for key, value in whole.gather(rows).items():
        assert torch.equal(mapped.gather(rows)[key], value)
    assert mapped.sha256 == whole.sha256


def write_images(root: Path, *, odd: bool = False) -> None:
    from PIL import Image

    for number, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for index in range(2):
            size = (5, 4) if odd and number and index else (4, 4)
            Image.new("RGB", size, (10 * number, 20, index)).save(root / name / f"{index}.png")


def test_images_in_folders_have_the_class_of_their_folder(tmp_path: Path) -> None:
    write_images(tmp_path)
    data = image_folder(tmp_path)
    assert data.array("input").shape == (4, 4, 4, 3)
    assert data.array("input")[:, 0, 0].tolist() == [[0, 20, 0], [0, 20, 1], [10, 20, 0], [10, 20, 1]]
    assert (data.labels, data.array("target").tolist()) == (("cat", "dog"), [0, 0, 1, 1])


def test_a_hugging_face_folder_is_read_without_the_hub(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {"x": datasets.Sequence(datasets.Value("float32"), length=2), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    made = datasets.Dataset.from_dict({"x": [[1.0, 2.0], [3.0, 4.0]], "label": [1, 0]}, features=features)
    datasets.DatasetDict({"train": made}).save_to_disk(str(tmp_path / "made"))
    data = hugging_face(tmp_path / "made", split="train", target="label")
    assert data.array("input").tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert data.labels == ("no", "yes")
    with pytest.raises(UserError, match="has the splits train: name one of them, not None"):
        hugging_face(tmp_path / "made", target="label")


def test_the_steps_of_a_minari_dataset_are_samples_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agents.acting.recording import save
    from envs.config import EnvConfig
    from tests.support.recorded import record_random

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = EnvConfig("Pendulum-v1")
    episodes = record_random(env, 3)
    save("tiny/pendulum-v0", *episodes, env, algorithm="none", told={})
    data = minari_steps("tiny/pendulum-v0")
    assert data.array("input").shape[1:] == (3,)
    assert len(data) == episodes[0].steps
    assert np.unique(data.array("group")).tolist() == [0, 1, 2]


def broken(root: Path) -> dict[str, Callable[[], object]]:
    numbers = np.zeros((4, 2), np.float32)
    (root / "empty.txt").write_text(" \n")
    (root / "binary.txt").write_bytes(b"GIF89a\0\1")
    (root / "latin.txt").write_bytes("Zürich".encode("latin-1"))
    (root / "broken.npz").write_bytes(b"nothing of the kind")
    np.save(root / "target.npy", np.arange(3))
    write_images(root / "odd", odd=True)
    write_images(root / "cut")
    (root / "cut" / "cat" / "0.png").write_bytes(b"\x89PNG\r\n")
    return {
        "made up: target of sample 2 is 5: it takes 0 to 1": lambda: of_arrays(
            numbers, np.array([0, 1, 5, 0]), "made up", labels=["a", "b"]
        ),
        "made up: target of sample 1 is -1: it takes 0 to 3": lambda: of_arrays(
            numbers, np.array([0, -1, 3, 0]), "made up"
        ),
        "every array takes as many samples: input 4, target 3": lambda: of_arrays(numbers, np.arange(3), "made up"),
        "made up is empty": lambda: of_arrays(numbers[:0], None, "made up"),
        "input is of <U1: it takes numbers": lambda: of_arrays(np.array(["a", "b"]), None, "made up"),
        "empty.txt is empty": lambda: read_text(root / "empty.txt"),
        "binary.txt is binary: it holds a zero byte at 6": lambda: read_text(root / "binary.txt"),
        "latin.txt is no text in UTF-8: byte 1 is 0xfc": lambda: read_text(root / "latin.txt"),
        "nowhere.txt cannot be read": lambda: read_text(root / "nowhere.txt"),
        "broken.npz cannot be read as NumPy arrays": lambda: numpy_dataset(root / "broken.npz"),
        "has no array 'input' or 'input.<name>': it has target": lambda: numpy_dataset(root),
        "1.png is an image of .4, 5, 3., .*0.png of .4, 4, 3.": lambda: image_folder(root / "odd"),
        "0.png cannot be read as an image": lambda: image_folder(root / "cut"),
        "has no images: it takes a folder for each class": lambda: image_folder(root / "nowhere"),
        "nowhere cannot be read as a Hugging Face dataset": lambda: hugging_face(root / "nowhere", target="y"),
    }


def test_bad_data_are_told_in_one_line(tmp_path: Path) -> None:
    for told, read in broken(tmp_path).items():
        with pytest.raises(UserError, match=told) as raised:
            read()
        assert "\n" not in str(raised.value)


def test_a_missing_package_is_told_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    with pytest.raises(UserError, match=r'install it: .* -e "\.\[data\]"'):
        sklearn_dataset("digits")


def test_data_that_do_not_fit_into_memory_are_told_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    np.savez_compressed(tmp_path / "zeros.npz", input=np.zeros((1_000, 8)))
    for number in range(3):
        (tmp_path / "pictures" / "a").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10)).save(tmp_path / "pictures" / "a" / f"{number}.png")
    machine_of(100_000, 100_000, monkeypatch)
    assert len(numpy_dataset(tmp_path / "zeros.npz")) == 1_000
    assert len(image_folder(tmp_path / "pictures")) == 3
    machine_of(3_000, 3_000, monkeypatch)
    with pytest.raises(UserError, match=r"zeros\.npz, unpacked, takes .*a folder of \.npy files is mapped"):
        numpy_dataset(tmp_path / "zeros.npz")
    with pytest.raises(UserError, match="pictures of 3 images takes"):
        image_folder(tmp_path / "pictures")
