"""Reading our files without importing them: docstrings, imports, and the options of a config with those it inherits."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from textwrap import dedent

import pytest

from agents.ppo import PPOConfig
from reports.sources import ConfigField, Source, config_fields, lineage, read_sources
from tests.support import ROOT


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three files: a base, a config that inherits from it through another module, the config of a run."""
    files = {
        "room/base.py": """
            from dataclasses import dataclass

            @dataclass(frozen=True)
            class Shared:
                gamma: float = 0.99
                horizon: int = 5
                \"\"\"Steps of each
                environment.\"\"\"

            class RunConfig:
                seed: int = 1
            """,
        "room/face.py": "from room.base import Shared",
        "room/own.py": """
            \"\"\"What it is.\"\"\"
            from room import base
            from room.face import Shared
            from room.base import RunConfig
            CLAIMS = ()

            class Config(Shared):
                kind: ClassVar[str] = "no option"
                gamma: float = 0.9
                rate: "float | None" = field(default_factory=lambda: make(
                    1,
                ))
                given: dict[str, int] = field(default_factory=dict)
                needed: int

            class Run(RunConfig):
                epochs: int = 3

            class Qualified(base.Shared):
                more: int = 1
            """,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(dedent(text))
    return tmp_path


def test_options_come_with_those_that_are_inherited(tree: Path) -> None:
    own = Source(tree, Path("room/own.py"))
    assert config_fields(own, "Config") == [
        ConfigField("gamma", "float", "0.9", ""),
        ConfigField("horizon", "int", "5", "Steps of each environment."),
        ConfigField("rate", '"float | None"', "make(1)", ""),
        ConfigField("given", "dict[str, int]", "{}", ""),
        ConfigField("needed", "int", "", ""),
    ]
    assert [field.name for field in config_fields(own, "Qualified")] == ["gamma", "horizon", "more"]
    assert [field.name for field in config_fields(own, "Run")] == ["epochs"], "what all runs share is told once"
    assert [node.name for _, node in lineage(own, "Run")] == ["RunConfig", "Run"]


def test_a_file_says_what_it_is_and_imports(tree: Path) -> None:
    own = Source(tree, Path("room/own.py"))
    assert (own.module, own.doc) == ("room.own", "What it is.")
    assert own.imports("room.face")
    assert own.imports("room")
    assert not own.imports("room.fac")
    assert own.assigns("CLAIMS")
    assert not own.assigns("Config")
    assert [source.path.name for source in read_sources(tree, "room")] == ["base.py", "face.py", "own.py"]


def test_the_options_of_ppo_are_those_of_its_dataclass() -> None:
    found = {field.name: field.default for field in config_fields(Source(ROOT, Path("agents/ppo.py")), "PPOConfig")}
    real = {field.name: field.default for field in fields(PPOConfig)}
    assert found.keys() == real.keys()
    for name, default in real.items():
        if default is not MISSING and isinstance(default, bool | int | float | None):
            assert found[name] == repr(default)
