"""An experiment that a sweep writes: plain Python that means what was found."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.control import ppo_cartpole
from reports.sweep_script import variant_script
from tests.support import ROOT
from training.claims import Claim
from training.errors import UserError
from training.options import changed_values


def test_a_variant_is_formatted_and_is_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = ppo_cartpole.Config()
    changes = {
        "agent.gamma": 0.95,
        "agent.optimizer.schedule.kind": "steps",
        "agent.optimizer.schedule.steps": ((0.5, 2.0),),
        "policy.network.hidden": (32,),
        "env_steps": 20_000,
        "compile": True,
    }
    claim = Claim("evaluation/return_mean", ">=", baseline="ppo_cartpole", at="best", seeds=7)
    text = variant_script("experiments.control", "ppo_cartpole", base, changes, claim=claim, found="The best of 20.")
    (tmp_path / "written_variant.py").write_text(text)
    for words in (["check"], ["format", "--check"]):
        asked = [sys.executable, "-m", "ruff", *words, "--config", ROOT / "pyproject.toml", tmp_path]
        subprocess.run(asked, check=True)
    monkeypatch.syspath_prepend(tmp_path)
    written = importlib.import_module("written_variant")
    config = written.Config()
    assert (claim,) == written.CLAIMS
    assert changed_values(config, base) == changes
    with pytest.raises(UserError, match=r"agent\.gamma = .* cannot be written into a script"):
        variant_script("experiments.control", "ppo_cartpole", base, {"agent.gamma": object()}, claim=claim, found="")
