"""The README's examples are run as they stand there."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

README = ROOT / "README.md"
FILES = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", README.read_text(), re.DOTALL))
QUICK = ["--tracker", "none", "--env-steps", "2048", "--evaluation.episodes", "10", "--evaluation.final-episodes", "10"]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of experiments with the README's; its other files lie where the README puts them."""
    package = tmp_path / "readme_experiments"
    package.mkdir()
    for path, code in FILES.items():
        folder = {"experiments": package, "agents": tmp_path / "agents"}.get(Path(path).parent.name, tmp_path)
        folder.mkdir(exist_ok=True)
        (folder / Path(path).name).write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    agents = importlib.import_module("agents")
    monkeypatch.setattr(agents, "__path__", [*agents.__path__, str(tmp_path / "agents")])
    yield package.name
    for module in (
        "corridor",
        "nets",
        "rocket",
        "agents.vanilla",
        *[name for name in sys.modules if name.startswith(package.name)],
    ):
        sys.modules.pop(module, None)


def test_the_readme_has_the_files_that_are_tested_here() -> None:
    assert set(FILES) == {
        "experiments/wide_ppo_cartpole.py",
        "corridor.py",
        "nets.py",
        "rocket.py",
        "agents/vanilla.py",
        "experiments/vanilla_cartpole.py",
    }


@pytest.mark.parametrize("name", ["wide_ppo_cartpole", "vanilla_cartpole"])
def test_its_experiments_train(example: str, name: str, tmp_path: Path) -> None:
    from experiments.__main__ import main

    assert main(["train", name, *QUICK, "--run-dir", str(tmp_path / "run")], package=example) == 0
    assert json.loads((tmp_path / "run" / "result.json").read_text())["status"] == "completed"


def test_its_environment_is_learned(example: str, tmp_path: Path) -> None:
    from experiments.__main__ import main

    argv = ["train", "ppo", "--env.id", "corridor:Corridor-v0", "--env-steps", "20000", "--tracker", "none"]
    assert main([*argv, "--run-dir", str(tmp_path / "run")]) == 0
    measured = json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]["evaluation/return_mean"]
    assert measured > -10.5, "it walks straight to the right"


def test_its_jitted_environment_is_compiled_and_learned(
    example: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("numba")
    from experiments.__main__ import main

    assert main(["check", "rocket:Rocket"]) == 0
    assert "64 copies are one loop" in capsys.readouterr().out
    argv = ["train", "ppo", "--env.id", "rocket:Rocket", "--env-steps", "100000", "--tracker", "none"]
    assert main([*argv, "--run-dir", str(tmp_path / "run")]) == 0
    measured = json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]["evaluation/return_mean"]
    assert measured > -20, "it lands more softly than by falling"


def test_its_network_is_learned_with(example: str, tmp_path: Path) -> None:
    from agents.policies.saved import load_policy
    from experiments.__main__ import main

    options = re.findall(r"(--policy\.network\.module\S*) ('.*?'|[^\s`]+)", README.read_text())
    argv = [word.strip("'") for option in options for word in option]
    assert argv[::2] == ["--policy.network.module", "--policy.network.module-kwargs"]
    assert main(["train", "ppo_cartpole", *QUICK, *argv, "--run-dir", str(tmp_path / "run")]) == 0
    encoder = load_policy(tmp_path / "run").actor_encoder
    assert type(encoder.own.module).__module__ == "nets"
    assert encoder.out_features == 32


def test_its_lines_of_python_train_draw_and_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(import gymnasium.*?)```", README.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(code.replace("env_steps=50_000", 'env_steps=2_048, tracker="none"'), names)
    assert names["action"] in (0, 1)
    assert (tmp_path / "curve.svg").read_text().startswith("<?xml")
