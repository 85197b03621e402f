"""How a run is run again: its commands give the same config."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from commands.shared.again import again_of
from experiments.__main__ import main
from tests.support.counting import PACKAGE, command
from tests.support.reported import HOSTILE
from training.run.folder import read_settings

pytestmark = pytest.mark.usefixtures("workplace")


def again(commands: list[str], package: str = PACKAGE) -> None:
    """Carries the commands out as a shell would."""
    for line in commands:
        words = shlex.split(line, comments=True)
        assert words[:3] == ["python", "-m", "experiments"]
        assert main([*words[3:], "--run-dir", "again"], package) == 0


def test_the_command_gives_the_same_config_and_what_it_changed_is_told() -> None:
    assert command("train counting --tracker none --gain 2.5 --seed 3 --run-dir here") == 0
    found = again_of(Path("here"), PACKAGE)
    assert found.default == "the default of counting"
    assert found.changed == [("gain", "1.0", "2.5")]
    assert not found.has_policy
    again(list(found.commands))
    assert read_settings(Path("again"))["config_hash"] == read_settings(Path("here"))["config_hash"]


def test_a_value_that_a_shell_would_read_is_quoted() -> None:
    assert main(["train", "counting", "--tracker", "none", "--run-dir", "here", f"--dataset={HOSTILE}"], PACKAGE) == 0
    again(list(again_of(Path("here"), PACKAGE).commands))
    assert read_settings(Path("again"))["config"]["dataset"] == HOSTILE


def test_a_child_is_run_again_after_its_parent() -> None:
    assert command("train counting --tracker none --run-dir parent") == 0
    assert command("resume parent --env-steps 60 --run-dir child") == 0
    first, second = again_of(Path("child"), PACKAGE).commands
    assert first == "python -m experiments train counting --seed=1"
    assert shlex.split(second, comments=True)[3:] == ["resume", "parent", "--env-steps=60"]


def test_a_preset_is_named_and_is_what_is_changed() -> None:
    options = "--env.id CartPole-v1 --env-steps 64 --num-envs 2 --agent.horizon 8 --agent.minibatch-size 16"
    quick = "--evaluation.episodes 1 --evaluation.final-episodes 1 --evaluation.num-envs 1 --tracker none"
    assert main(f"train ppo {options} {quick} --run-dir here".split()) == 0
    found = again_of(Path("here"), "experiments")
    assert found.default == "the preset CartPole-v1 of ppo"
    assert ("agent.horizon", "8") in [(name, now) for name, _, now in found.changed]
    assert "env.id" not in [name for name, *_ in found.changed]
    assert found.has_policy
    assert "--env.id=CartPole-v1 --preset=CartPole-v1 --seed=1" in found.commands[0]


def test_where_the_experiment_is_no_more_it_is_not_known() -> None:
    assert command("train counting --tracker none --run-dir here") == 0
    assert "unknown experiment counting" in again_of(Path("here"), "experiments").unknown
