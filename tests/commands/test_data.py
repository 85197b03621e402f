"""`data NAME`: reports on experiments, files and datasets of episodes, and one line for a mistake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from commands.data import main
from training.errors import UserError


def test_the_data_of_an_experiment_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["breast_cancer_mlp"], "experiments") == 0
    assert "0 wrong" in capsys.readouterr().out.splitlines()[-1]


def test_a_file_with_a_fault_ends_with_one_and_is_json_where_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{7},{a + b:.3f}" for a, b in rng.normal(size=(60, 2))]
    file = tmp_path / "some.csv"
    file.write_text("\n".join(["a,still,said", *rows]) + "\n")
    assert main([str(file), "--target", "said", "--json", "--out", str(tmp_path / "out.json")], "experiments") == 1
    told = json.loads(capsys.readouterr().out)
    assert [finding["kind"] for finding in told["findings"] if finding["level"] == "wrong"] == ["constant"]
    assert json.loads((tmp_path / "out.json").read_text()) == told


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text("a,b\n1,2\n")
    for words, said in (
        ([str(tmp_path / "some.csv")], "target = None: the table"),
        (["breast_cancer"], "breast_cancer: no file, no dataset of episodes and no experiment"),
        (["ppo_cartpole"], "ppo_cartpole does not say what its data are"),
    ):
        with pytest.raises(UserError, match=said.replace("(", r"\(")):
            main(words, "experiments")
