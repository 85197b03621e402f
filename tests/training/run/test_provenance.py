"""What a run was made with: the environment, without its variables, and the code that it computes with."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

from tests.support import ROOT
from tests.support.runs import create
from training.run import provenance
from training.run.provenance import changes, describe_environment, import_closure, source_hash


def test_the_environment_is_recorded_without_its_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "s3cr3t-value")
    with create(tmp_path / "run"):
        pass
    text = "".join(path.read_text() for path in (tmp_path / "run").iterdir())
    assert "s3cr3t-value" not in text
    assert os.uname().nodename not in text
    written = json.loads((tmp_path / "run/environment.json").read_text())
    assert written["packages"]["torch"] == torch.__version__
    assert "stable-baselines3" in written["packages"]
    assert written["python"] == sys.version.split()[0]
    assert (written["cpus"], written["threads"]) == (os.cpu_count(), torch.get_num_threads())


def test_another_commit_alone_warns_and_leaves_the_run_exact() -> None:
    now = describe_environment()
    assert changes(now, now) == {}
    assert list(changes({**now, "commit": "0123abc"}, now)) == ["commit"]


def test_the_source_hash_covers_what_the_experiment_imports_and_nothing_else(tmp_path: Path) -> None:
    files = {
        "agents/__init__.py": "",
        "agents/ppo.py": "from training import fit",
        "agents/sac.py": "",
        "envs/tasks/__init__.py": "register('Reach-v0', 'envs.tasks.reach:Reach')",
        "envs/tasks/reach.py": "",
        "experiments/control/one.py": "from agents.ppo import PPO\nENV = 'envs.tasks:Reach-v0'",
        "experiments/control/two.py": "",
        "reports/tables.py": "",
        "training/fit.py": "def late():\n    import training.late",
        "training/late.py": "",
        "training/submit.py": "import agents.ppo",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    other = {"agents/sac.py", "experiments/control/two.py", "reports/tables.py", "training/submit.py"}
    for name, text in files.items():
        before = source_hash("one", root=tmp_path)
        (tmp_path / name).write_text(f"{text}\nchanged = True\n")
        assert (source_hash("one", root=tmp_path) != before) == (name not in other), name
    before = source_hash("one", root=tmp_path)
    (tmp_path / "training/fit.py").rename(tmp_path / "training/loop.py")
    assert source_hash("one", root=tmp_path) != before


def test_the_source_hash_covers_what_the_config_names(tmp_path: Path) -> None:
    for name in ("experiments/one.py", "mine/env.py", "mine/other.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a = 1\n")
    config = {"env": {"id": "mine.env:Mine-v0"}, "agent": {"hidden": [64, 64]}}
    before = source_hash("one", config, tmp_path), source_hash("one", None, tmp_path)
    (tmp_path / "mine/other.py").write_text("a = 2\n")
    assert (source_hash("one", config, tmp_path), source_hash("one", None, tmp_path)) == before
    (tmp_path / "mine/env.py").write_text("a = 2\n")
    assert source_hash("one", config, tmp_path) != before[0]
    assert source_hash("one", None, tmp_path) == before[1]


def test_the_source_hash_of_a_real_experiment_leaves_other_algorithms_and_reports_out() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in import_closure(ROOT / "experiments/control/ppo_cartpole.py")}
    assert {"agents/ppo.py", "training/fit.py", "envs/tasks/cartpole.py", "agents/acting/ray_worker.py"} <= files
    assert "agents/updates/ppo_kernel.cpp" in files
    assert not files & {"agents/sac.py", "agents/dqn.py", "pretraining/supervised.py", "reports/tables.py"}
    assert not any(name.startswith(("commands/", "reports/", "finetuning/")) for name in files)


def test_a_folder_without_git_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    described = describe_environment()
    assert (described["commit"], described["dirty"]) == (None, None)
