"""Options from a file and from another run, under those of the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.counting import command

pytestmark = pytest.mark.usefixtures("workplace")


def config_of(folder: str) -> dict[str, object]:
    config: dict[str, object] = json.loads(Path(folder, "config.json").read_text())["config"]
    return config


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("part.json", '{"gain": 3, "env_steps": "1k"}'),
        pytest.param("part.toml", "gain = 3\nenv_steps = 1_000\n", marks=pytest.mark.full),
        ("part.yaml", "gain: 3e0\nenv_steps: 1e3\n"),
        pytest.param("part.yml", "{gain: 3, env_steps: 1000}\n", marks=pytest.mark.full),
    ],
)
def test_a_file_gives_values_and_options_win(name: str, text: str) -> None:
    Path(name).write_text(text)
    assert command(f"train counting --config {name} --env-steps 20 --tracker none --run-dir here") == 0
    assert {"gain": 3.0, "env_steps": 20, "seed": 1}.items() <= config_of("here").items()
    assert command(f"train counting --tracker none --config {name} --run-dir there --broken mistake") == 2
    assert command(f"train counting --tracker none --config {name} --run-dir there --pause-s 0") == 0
    assert config_of("there")["env_steps"] == 1000
    Path("comma.json").write_text('{"dataset": "a,b"}')
    assert command("train counting --tracker none --config comma.json --run-dir one") == 0
    assert config_of("one")["dataset"] == "a,b"


def test_the_config_of_a_run_works_as_it_is_and_its_changes_are_taken_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --gain 3 --seed 4 --tracker none --run-dir first") == 0
    assert command("train counting --config first/config.json --tracker none --run-dir again") == 0
    assert config_of("again") == config_of("first")
    capsys.readouterr()
    assert command("train compared --set-from first --seed 5 --tracker none --run-dir other") == 0
    assert "from first: --seed=4 --gain=3.0\n" in capsys.readouterr().err
    assert {"gain": 3.0, "seed": 5}.items() <= config_of("other").items()
    Path("low.json").write_text('{"gain": 7, "env_steps": 20}')
    assert command("train counting --config low.json --set-from first --tracker none --run-dir both") == 0
    assert {"gain": 3.0, "env_steps": 20}.items() <= config_of("both").items()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--config none.json", "config = 'none.json': it cannot be read (No such file or directory)"),
        ("--config bad.json", "config = 'bad.json': it is not JSON ("),
        ("--config bad.toml", "config = 'bad.toml': it is not TOML ("),
        ("--config bad.yaml", "config = 'bad.yaml': it is not YAML ("),
        ("--config thesis.txt", "config = 'thesis.txt': it takes a file that ends in .json, .toml, .yaml"),
        ("--config list.json", "list.json holds [1]: it takes an object"),
        ("--config unknown.json", "unknown key gian in unknown.json: did you mean gain?"),
        ("--config wrong.json", "gain = 'much': it takes a valid number"),
        ("--set-from nowhere", "nowhere is not a run: there is none in runs/ yet"),
    ],
)
def test_a_wrong_file_is_one_line_before_anything_is_written(
    options: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in {
        "bad.json": "{",
        "bad.toml": "= 3",
        "bad.yaml": "a: [",
        "list.json": "[1]",
        "unknown.json": '{"gian": 3}',
        "wrong.json": '{"gain": "much"}',
    }.items():
        Path(name).write_text(text)
    assert command(f"train counting {options} --tracker none") == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"error: {message}")
    assert not Path("runs").exists()
