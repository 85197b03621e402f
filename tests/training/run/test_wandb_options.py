"""What W&B would not take, and a login that is not there, are told before a run begins."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from training.errors import UserError
from training.run.wandb_options import WandbOptions, require_login

pytestmark = pytest.mark.usefixtures("logged_out")


def test_what_is_asked_of_wandb_is_what_it_takes() -> None:
    asked = WandbOptions(project="mine", tags=("a, b", "c"), notes="of today")
    assert asked.given == {"project": "mine", "tags": ["a", "b", "c"], "notes": "of today"}
    assert WandbOptions().given == {}
    for wrong, told in (
        ({"project": "us/mine"}, "project = 'us/mine': it takes a name without any of / "),
        ({"entity": ""}, "entity = '': it takes 1 to 128 letters"),
        ({"tags": ("a,,b",)}, "tags = 'a,,b': it takes tags of 1 to 64 letters"),
    ):
        with pytest.raises(UserError, match=re.escape(told)):
            WandbOptions(**wrong)


@pytest.mark.parametrize("how", ["environment", "netrc"])
def test_a_login_is_found_where_wandb_finds_it(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for asked in ("auto", "offline", "tensorboard", "none"):
        require_login(asked)
    with pytest.raises(UserError, match=r"tracker = 'online\+code': nobody is logged in to W&B; `wandb login` logs in"):
        require_login("online+code")
    if how == "environment":
        monkeypatch.setenv("WANDB_API_KEY", "f" * 40)
    else:
        Path(os.environ["NETRC"]).write_text(f"machine 127.0.0.1:9\n  login user\n  password {'f' * 40}\n")
        Path(os.environ["NETRC"]).chmod(0o600)
    require_login("online+code")
