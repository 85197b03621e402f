"""What a model says of samples that it has not seen, and what a language model writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from commands.shared.learned import WORST, held_out, samples
from experiments.__main__ import main
from reports.html.learned import HeldOut
from tests.support.counting import PACKAGE, command
from tests.support.language_models import SMALL_GPT
from tests.support.learning import write_package
from tests.support.reported import change


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return write_package(tmp_path)


def trained(package: str, name: str) -> HeldOut:
    options = ["--tracker", "none", "--threads", "1", "--run-dir", name]
    assert main(["train", f"learns_{name}", *options], package) == 0
    found = held_out(Path(name), package)
    assert isinstance(found, HeldOut)
    assert len(found.worst) == WORST
    return found


def test_classes_have_a_confusion_of_the_test_split_and_outstanding_columns(package: str) -> None:
    found = trained(package, "breast_cancer")
    assert found.confusion is not None
    assert found.confusion.sum() == found.bins.count.sum() == 85
    assert found.labels == ("malignant", "benign")
    assert found.about == "All 85 samples of the test split of sklearn breast_cancer, by the best checkpoint"
    assert all("deviations" in value for value in found.worst[0].values.values())
    change(Path("breast_cancer"), "config.json", chosen={"data_sha256": ["other"] * 3})
    assert "other data than the run began with" in str(held_out(Path("breast_cancer"), package))


def test_images_are_shown_and_numbers_have_no_confusion(package: str) -> None:
    digits = trained(package, "digits")
    assert [np.shape(one.pixels) for one in digits.worst] == [(8, 8)] * WORST
    assert trained(package, "diabetes").confusion is None


@pytest.mark.usefixtures("workplace")
def test_what_has_no_model_of_samples_has_nothing_to_show() -> None:
    assert command("train counting --tracker none --run-dir here") == 0
    assert held_out(Path("here"), PACKAGE) is None
    assert samples(Path("here"), PACKAGE) == ()


def test_a_language_model_writes_the_same_texts_again(tmp_path: Path) -> None:
    quick = ["--steps", "2", "--minibatch-size", "2", "--tracker", "none", "--threads", "1"]
    folder = tmp_path / "run"
    assert main(["train", "gpt_stdlib", "--run-dir", str(folder), *quick, *SMALL_GPT]) == 0
    assert held_out(folder, "experiments") is None
    first, second = (samples(folder, "experiments") for _ in range(2))
    assert first == second
    assert ["the likeliest" in one.how or "temperature" in one.how for one in first] == [True] * 3  # type: ignore[union-attr]
