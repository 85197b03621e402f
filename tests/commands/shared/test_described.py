"""What is kept of an experiment's options: the same as importing it shows, until one of its files changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from commands.shared import described
from commands.shared.described import describe, kept, require_known
from tests.support import ROOT
from tests.support.counting import PACKAGE
from training.errors import UserError
from training.experiments import load_experiment
from training.option_help import options_of
from training.options import field_types, translated


@pytest.fixture(autouse=True)
def caches(workplace: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches"


def test_what_is_kept_is_what_importing_shows() -> None:
    assert kept("ppo_cartpole", "experiments") is None
    first = describe("ppo_cartpole", "experiments")
    assert kept("ppo_cartpole", "experiments") == first
    experiment = load_experiment("ppo_cartpole", "experiments")
    assert first.doc == experiment.__doc__
    assert first.options == options_of(experiment.Config())
    types = field_types(experiment.Config())
    assert first.types.keys() == types.keys()
    assert first.types["seed"] is int
    assert first.types["threads"] == int | Literal["auto"]
    assert first.types["policy.network.hidden"] == tuple[int, ...]


def test_it_is_found_anew_when_a_file_changes_and_damage_is_no_error(package_folder: Path, caches: Path) -> None:
    first = describe("counting", PACKAGE)
    assert kept("counting", PACKAGE) == first
    script = package_folder / PACKAGE / "counting.py"
    os.utime(script, ns=(1, 1))
    assert kept("counting", PACKAGE) is None
    describe("counting", PACKAGE)
    assert kept("counting", PACKAGE) == first
    (file,) = caches.rglob("counting.json")
    file.write_text("[1]")
    assert kept("counting", PACKAGE) is None
    file.unlink()
    file.mkdir()
    assert describe("counting", PACKAGE) == first, "where nothing can be kept it is found every time"


def test_mistakes_and_help_are_answered_without_torch() -> None:
    describe("ppo_cartpole", "experiments")
    code = (
        "import sys\nfrom experiments.__main__ import main\n"
        "told = main(sys.argv[1:])\nassert 'torch' not in sys.modules\nsys.exit(told)"
    )
    for asked, exit_code, words in (
        ("--help", 0, "--agent.optimizer.learning-rate NUMBER"),
        ("--help all", 0, "--worker-timeout-s NUMBER"),
        ("--sed 1", 2, "error: unknown option --sed: did you mean --seed?"),
        ("--seed one", 2, "error: seed = 'one': it takes a valid integer"),
        ("--seed 1 --seed 2", 2, "error: --seed is given twice"),
        ("--vf-coef 1", 2, "error: unknown option --vf-coef: agent.value_coefficient is of"),
        ("--device gpu", 2, "error: device = 'gpu': it takes 'auto', 'cpu' or 'cuda'"),
    ):
        program = [sys.executable, "-c", code, "train", "ppo_cartpole", *asked.split()]
        done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == exit_code, done.stderr
        assert words in done.stdout + done.stderr


def test_values_are_checked_as_far_as_their_type_tells() -> None:
    types: dict[str, Any] = {"seed": int, "name": str, "free": Any, "sizes": tuple[int, ...]}
    fine = translated(["--seed", "100k", "--name=x", "--free", "{", "--sizes", "1,2"], types)
    require_known(fine, types)
    require_known(translated(["--seed", "1,2"], types), types)  # several runs
    for words in (["--seed", "x"], ["--seed"], ["--sizes", "1", "b"]):
        with pytest.raises(UserError):
            require_known(translated(words, types), types)


def test_of_what_is_installed_no_file_is_watched() -> None:
    files = described._files()
    assert str(ROOT / "training" / "options.py") in files
    assert not [file for file in files if "site-packages" in file]
