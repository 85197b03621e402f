"""Exported folders: they run without anything of ours, and are written whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from pretraining.autoencoder import Autoencoder, AutoencoderConfig
from serving import exported
from serving.comparison import Compared
from serving.exported import DiffersError, export
from tests.serving.test_predicting_module import predictor
from tests.support.exported import POLICIES, write_policy_run
from training.errors import UserError
from training.run.files import sha256
from training.seeding import generator


def test_a_folder_runs_where_nothing_of_ours_is(tmp_path: Path) -> None:
    run = write_policy_run(tmp_path / "run", POLICIES["ppo"]())
    made = export(run, tmp_path / "out")
    assert sorted(path.name for path in made.folder.iterdir()) == ["example.py", "model.json", "model.onnx"]
    about = json.loads((made.folder / "model.json").read_text())
    assert about["sha256"] == sha256(made.model)
    assert about["compared"] == {
        "rows": 1000,
        "choices_that_differ": 0,
        "largest_difference": made.compared.largest_difference,
        "tolerance": 1e-5,
    }
    assert str(tmp_path) not in (made.folder / "model.json").read_text()
    code = (made.folder / "example.py").read_text()
    program = f"import runpy, sys; runpy.run_path({str(made.folder / 'example.py')!r}); print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    told, modules = done.stdout.splitlines()
    policy = POLICIES["ppo"]()
    assert told == f"action int64 (3,) {[int(policy.predict(np.zeros(5, np.float32)))] * 3}"
    assert not {"'torch'", "'training'", "'gymnasium'"} & set(modules.strip("[]").split(", "))
    assert len([line for line in code.splitlines() if line and not line.startswith(('"', "import", "from"))]) <= 10


def test_a_predictor_is_exported_too_and_another_model_is_refused(tmp_path: Path) -> None:
    model = predictor(spaces.Box(0, 255, (8, 8), np.uint8), spaces.Discrete(4))
    run = write_policy_run(tmp_path / "run", model, part="algorithm", name="model")
    made = export(run, tmp_path / "out", format="pt2")
    assert json.loads((made.folder / "model.json").read_text())["outputs"][0]["name"] == "probabilities"
    done = subprocess.run([sys.executable, made.folder / "example.py"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("probabilities torch.float32 (3, 4)")
    with pytest.raises(UserError, match="action_mask = True: it takes False: a predictor takes no actions"):
        export(run, tmp_path / "other", action_mask=True)


def test_what_differs_or_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_policy_run(tmp_path / "run", POLICIES["ppo"]())
    made = export(run, tmp_path / "out", format="pt2")
    before = {path.name: path.read_bytes() for path in made.folder.iterdir()}
    monkeypatch.setattr(exported, "compare", lambda *_: Compared(10, 3, 0.5))
    with pytest.raises(DiffersError, match=r"differs .*: 10 inputs, 3 choices differ, numbers by 0.5; nothing"):
        export(run, tmp_path / "out", format="pt2")
    assert {path.name: path.read_bytes() for path in made.folder.iterdir()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"run", "out"}


@pytest.mark.parametrize("taken", ["file", "folder"])
def test_it_takes_no_folder_of_something_else(taken: str, tmp_path: Path) -> None:
    run = write_policy_run(tmp_path / "run", POLICIES["ppo"]())
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").touch()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="it takes a new folder, or one that was exported before"):
        export(run, tmp_path / taken, format="pt2")


def test_a_run_without_a_policy_says_so(tmp_path: Path) -> None:
    inputs: Any = {"input": spaces.Box(0, 255, (8, 8), np.uint8)}
    other = Autoencoder(inputs, None, AutoencoderConfig(), generator(0, "weights"))
    run = write_policy_run(tmp_path / "run", other, part="algorithm", name="model")
    with pytest.raises(UserError, match="holds a Autoencoder, which cannot be exported"):
        export(run, tmp_path / "out")
    with pytest.raises(UserError, match="is not a run"):
        export(tmp_path, tmp_path / "out")
