"""`models`: what lies on a shelf."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.__main__ import main
from tests.support.exported import POLICIES, write_policy_run

pytestmark = pytest.mark.usefixtures("workplace")


def test_it_lists_every_run_below_a_place(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        write_policy_run(Path(name), POLICIES["ppo"]())
        assert main(["push", name, f"shelf/of/{name}"]) == 0
    capsys.readouterr()
    assert main(["models", "shelf"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["where", "of/one", "of/two"]
    assert main(["models", "shelf/of/two", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out).values()
    assert found["experiment"] == "example"
    assert main(["models", "nothing"]) == 0
    assert capsys.readouterr().out.splitlines() == [""]
