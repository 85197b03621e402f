"""`submit`: what it hands to the cluster, and its mistakes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from commands import submit
from experiments.__main__ import main
from training.cluster.ray_job import Job


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("submit", "submit takes NAME first"),
        ("submit ppo_cartpole --addres x", "unknown option --addres: did you mean --address?"),
        ("submit ppo_cartpole --address head:8265", "address = 'head:8265': it takes that of a Ray dashboard"),
        (
            "submit ppo_cartpole --address http://127.0.0.1:9",
            "address = 'http://127.0.0.1:9': no Ray cluster takes jobs",
        ),
        ("submit ppo_cartpole --address http://head:8265", "storage = None: for http://head:8265 it takes a place"),
        ("submit ppo_cartpole --storage nonsense://x", "storage = 'nonsense://x/ppo_cartpole/"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    line: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(line)) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"error: {message}")


def test_a_job_is_the_changed_options_and_can_be_followed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[Any] = []
    monkeypatch.setattr(submit, "submit", lambda job, folder, **how: asked.append((job, folder, how)) or 7)
    assert main(shlex.split("submit ppo_cartpole --seed 3 --agent.gamma 0.9 --storage s3://runs/ --versions any")) == 7
    ((job, folder, how),) = asked
    options = ("--seed=3", "--agent.gamma=0.9")
    assert job == Job("experiments", "ppo_cartpole", options, f"s3://runs/ppo_cartpole/{folder.name}")
    assert folder.parent == Path("runs/ppo_cartpole")
    assert how["any_versions"]
    assert how["again"].endswith(f"--versions any --run-dir {folder}")


def test_a_job_of_an_algorithm_names_its_environment_and_its_preset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[Any] = []
    monkeypatch.setattr(submit, "submit", lambda job, folder, **how: asked.append((job, folder)) or 0)
    line = "submit ppo --env-id Pendulum-v1 --env.time-limit 50 --preset default --storage s3://runs --versions any"
    assert main(shlex.split(line)) == 0
    ((job, folder),) = asked
    options = ("--env.id=Pendulum-v1", "--preset=default", "--env.time-limit=50")
    assert job == Job("experiments", "ppo", options, f"s3://runs/ppo-Pendulum-v1/{folder.name}")
    assert folder.parent == Path("runs/ppo-Pendulum-v1")
