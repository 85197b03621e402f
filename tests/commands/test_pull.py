"""`pull`: what it says of a run whose config names code; its way from `push` is in test_push.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.__main__ import main
from tests.support.exported import POLICIES, write_policy_run

pytestmark = pytest.mark.usefixtures("workplace")


def test_it_names_the_code_that_would_be_imported(capsys: pytest.CaptureFixture[str]) -> None:
    run = write_policy_run(Path("run"), POLICIES["ppo"]())
    settings = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**settings, "config": {"env": {"id": "corridor:Corridor-v0"}}}))
    assert main(["push", "run", "shelf"]) == 0
    assert main(["pull", "shelf", "--run-dir", "mine"]) == 0
    told = "note: its config names corridor:Corridor-v0: what acts with it imports that from this machine\n"
    assert capsys.readouterr().err == told
    assert Path("mine/config.json").exists()
