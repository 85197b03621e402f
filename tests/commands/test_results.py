"""`results`: the tables in the docs are made of the verdicts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reports.tables import write_docs
from tests.support import ROOT
from tests.support.counting import command
from training.errors import UserError

pytestmark = pytest.mark.usefixtures("workplace")


def test_the_files_that_changed_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("docs/results").mkdir(parents=True)
    shutil.copy(ROOT / "docs/results/ppo_cartpole.json", "docs/results")
    Path("README.md").write_text("<!-- results:ppo_* -->\nold\n<!-- /results -->\n")
    assert command("results") == 0
    assert "wrote README.md" in capsys.readouterr().out.splitlines()
    assert "| `ppo_cartpole` | evaluation/return_mean >= 475 on 70 % of seeds |" in Path("README.md").read_text()
    assert command("results") == 0
    assert "README.md" not in capsys.readouterr().out, "nothing has changed since"


def test_a_table_without_results_names_its_file() -> None:
    Path("README.md").write_text("<!-- results:ppo_* -->\n<!-- /results -->\n")
    with pytest.raises(UserError, match=r"results:ppo_\* in README.md matches nothing"):
        write_docs(Path())
