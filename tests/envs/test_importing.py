"""Modules and what is in them are found, and the packages whose ids are known are imported for them."""

from __future__ import annotations

import sys

import pytest

from envs.config import EnvConfig
from envs.importing import module_of
from training.errors import UserError


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("ALE/Nothing-v9", "ale_py"),
        ("NothingNoFrameskip-v4", "ale_py"),
        ("MinAtar/Nothing-v1", "minatar.gym"),
        ("MiniGrid-Nothing-v0", "minigrid"),
        ("BabyAI-Nothing-v0", "minigrid"),
        ("FetchNothing-v4", "gymnasium_robotics"),
        ("HandReachNothing-v3", "gymnasium_robotics"),
        ("HandyNothing-v3", ""),
        ("CartPole-v1", ""),
    ],
)
def test_the_module_of_an_id_is_known_until_it_is_registered(name: str, module: str) -> None:
    assert module_of(name) == module


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("ALE/Nothing-v5", "ale_py", "games"),
        ("MinAtar/Nothing-v1", "minatar.gym", "games"),
        ("MiniGrid-Nothing-v0", "minigrid", "games"),
        ("FetchNothing-v4", "gymnasium_robotics", "robotics"),
        ("minigrid:MiniGrid-Nothing-v0", "minigrid", "games"),
    ],
)
def test_a_missing_package_is_one_line_with_its_extra(
    name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError) as error:
        EnvConfig(name)
    told = str(error.value)
    assert told.startswith(f"id = {name!r}: cannot import {module!r} (")
    assert told.endswith(f'; install it: .venv/bin/pip install -c constraints.txt -e ".[{extra}]"')
    assert "\n" not in told
    assert error.value.key == "id"


def test_another_module_has_no_command_that_installs_it() -> None:
    with pytest.raises(UserError) as error:
        EnvConfig("no_such_module:Thing-v0")
    assert str(error.value).endswith("cannot import 'no_such_module' (No module named 'no_such_module')")
