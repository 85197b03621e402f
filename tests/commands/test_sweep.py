"""A sweep from end to end: trials that are runs, populations, what is written, what is refused."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.__main__ import main
from tests.support.searched import PACKAGE, package_in, result_of
from training.claims import Claim
from training.experiments import find_experiments

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with package_in(tmp_path, monkeypatch) as folder:
        yield folder


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """One small Ray for all tests here."""
    from training.cluster.ray_session import connected

    with connected(None, cpus=2):
        yield


# Before the tests with a Ray of their own: a process that is connected would not ask for another cluster.
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sweep", "sweep takes NAME first"),
        ("sweep hil", "unknown experiment hil: did you mean hill?"),
        ("sweep hill --sample 3", "unknown option --sample: did you mean --samples?"),
        ("sweep hill --samples 0", "samples = 0: it takes at least 1"),
        ("sweep hill --cluster 127.0.0.1:9", "cluster = '127.0.0.1:9': no Ray cluster answers there"),
        ("sweep hill --samples 2 --scheduler pbt", "samples = 2: it takes at least 4 with pbt"),
        ("sweep hill --scheduler pbt", "search space: agent.pace: population-based training takes"),
        (
            "sweep hill --space agent.pac=0.1..0.2",
            "unknown key agent.pac in the search space: did you mean agent.pace?",
        ),
        ("sweep hill --space agent.pace=0.1..2", "search space: agent.pace = 2.0: it takes a number in (0, 1)"),
        ("sweep hill --seed 3", "seed = 3: it takes nothing: a sweep has seeds of its own"),
        ("sweep hill --variant 1st", "variant = '1st': it takes the name of a Python module"),
        ("sweep hill --variant hill", "/"),
        ("sweep hill --run-dir taken", "/"),
        ("sweep hill --time-s 0", "time_s = 0.0: it takes a positive number of seconds"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    package: Path, line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken").mkdir()
    Path("taken", "thesis.txt").write_text("mine")
    assert main(shlex.split(line), PACKAGE) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"error: {message}")


def test_a_variant_gets_no_name_that_is_taken_in_another_folder(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = find_experiments(PACKAGE)["hill"]
    (script.parent / "elsewhere").mkdir()
    shutil.copy(script, script.parent / "elsewhere" / "cave.py")
    assert main(shlex.split("sweep hill --variant cave"), PACKAGE) == 2
    assert "cave.py is there already: name another by --variant" in capsys.readouterr().err


SWEEP = "sweep hill --space agent.pace --samples 2 --evaluations 2 --finalists 1 --seeds 2 --run-dir sweep"


@pytest.mark.full
def test_a_sweep_writes_a_variant_that_beats_the_default(
    package: Path, local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shlex.split(SWEEP), PACKAGE) == 0
    printed = capsys.readouterr()
    assert "trial 1 of 2: evaluation/height 0.072: --agent.pace=0.1" in printed.err
    assert "claim: evaluation/height >= hill: holds" in printed.out
    tuned = importlib.import_module(f"{PACKAGE}.hill_tuned")
    config = tuned.Config()
    assert config != importlib.import_module(f"{PACKAGE}.hill").Config()
    assert (tuned.CLAIMS, config.seed) == ((Claim("evaluation/height", ">=", baseline="hill", seeds=2),), 1)
    finished = [result_of(run) for run in Path("sweep/trials").iterdir() if (run / "result.json").exists()]
    assert {result["seed"] for result in finished} == {1001}
    best = max(result["metrics"]["evaluation/height"] for result in finished if result["status"] == "completed")
    pace, rate = config.agent.pace, config.agent.optimizer.learning_rate
    assert 8 * rate * pace * (1 - pace) == pytest.approx(best)
    verdict = json.loads(Path("sweep/verify/verdict.json").read_text())
    assert verdict["claims"][0]["seeds"] == [101, 102]

    assert main(shlex.split(SWEEP), PACKAGE) == 0  # everything is there already
    assert "trial" not in capsys.readouterr().err
    assert main(shlex.split(SWEEP.replace("--samples 2", "--samples 3")), PACKAGE) == 2
    assert "is a sweep with another samples" in capsys.readouterr().err


SHORT_CARTPOLE = '''"""`ppo_cartpole` with so few env steps that better values show."""

from dataclasses import dataclass

from experiments.control import ppo_cartpole
from experiments.control.ppo_cartpole import SPACE, train

CLAIMS = ppo_cartpole.CLAIMS


@dataclass(frozen=True, kw_only=True)
class Config(ppo_cartpole.Config):
    env_steps: int = 10_000
'''


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_sweep_of_ppo_on_cartpole_beats_the_default(
    package: Path, local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(PACKAGE, "short_cartpole.py").write_text(SHORT_CARTPOLE)
    importlib.invalidate_caches()
    line = "sweep short_cartpole --samples 20 --scheduler none --seeds 8 --jobs 2 --compile false --run-dir sweep"
    assert main(shlex.split(line), PACKAGE) == 0
    assert "claim: evaluation/return_mean >= short_cartpole: holds" in capsys.readouterr().out
    (claim,) = json.loads(Path("sweep/verify/verdict.json").read_text())["claims"]
    assert claim["bound"] > 0  # of the paired difference over the eight seeds


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_population_finds_a_schedule(package: Path, local_ray: None, capsys: pytest.CaptureFixture[str]) -> None:
    asked = "sweep hill --scheduler pbt --space agent.optimizer.learning_rate --samples 4 --evaluations 4"
    assert main(shlex.split(f"{asked} --finalists 1 --seeds 2 --run-dir sweep"), PACKAGE) == 0
    told = capsys.readouterr().err
    assert "failed" not in told
    heights = [float(height) for height in re.findall(r"trial \d of 4: evaluation/height ([\d.]+): ", told)]
    assert len(heights) == 4
    optimizer = importlib.import_module(f"{PACKAGE}.hill_tuned").Config().agent.optimizer
    verified = result_of(Path("sweep/verify/seed-101"))["metrics"]["evaluation/height"]
    assert verified == pytest.approx(max(heights), rel=1e-4)
    runs = [run for run in Path("sweep/trials").iterdir() if (run / "result.json").exists()]
    parents = [json.loads((run / "config.json").read_text())["parent"] for run in runs]
    assert [parent for parent in parents if parent is not None]
    assert optimizer.schedule.kind in ("constant", "steps")


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_population_does_not_wait_for_a_member_that_failed(
    package: Path, local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """It fails when the others have measured and wait for it."""
    hill = Path(PACKAGE, "hill.py")
    falls = "if self.config.seed == 1001:\n            time.sleep(5)\n            raise UserError('it fell')\n        "
    hill.write_text(hill.read_text().replace("agent = self.config.agent", f"{falls}agent = self.config.agent"))
    asked = "sweep hill --scheduler pbt --space agent.optimizer.learning_rate --samples 4 --evaluations 4"
    # 1: the one that failed may have been the only one that beats the default.
    assert main(shlex.split(f"{asked} --finalists 1 --seeds 2 --time-s 600 --run-dir sweep"), PACKAGE) in (0, 1)
    told = capsys.readouterr().err
    assert told.count("failed, see") == 1
    assert len(re.findall(r"trial \d of 4: evaluation/height", told)) == 3


QUICK_PPO = '''"""PPO, so short that a search is over soon."""

from experiments.algorithms.ppo import Config, train
from training.search_space import LogUniform

ACTIONS = "any"
CLAIMS = ()
PRESETS = {
    "default": {"env_steps": 512, "agent.horizon": 32},
    "classic_control": {
        "env_steps": 4_096,
        "agent.epochs": 10,
        "agent.minibatch_size": 64,
        "agent.optimizer.learning_rate": 1e-7,  # with which nothing is learned
        "evaluation.final_episodes": 10,
    },
}
SPACE = {"agent.optimizer.learning_rate": LogUniform(1e-3, 5e-3)}
'''


def test_a_sweep_of_an_algorithm_takes_its_environment(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(PACKAGE, "quick_ppo.py").write_text(QUICK_PPO)
    assert main(["sweep", "quick_ppo"], PACKAGE) == 2
    assert "quick_ppo takes the environment that it is to learn" in capsys.readouterr().err
    assert main(["sweep", "quick_ppo", "--env.id", "CartPole-v1", "--space", "agent.clip_rang"], PACKAGE) == 2
    assert "--space agent.clip_rang" in capsys.readouterr().err
    assert main(["sweep", "quick_ppo", "--env", "CartPole-v1", "--space", "agent.clip_rang"], PACKAGE) == 2
    told = capsys.readouterr().err
    assert told.count("--env CartPole-v1 is read as --env.id CartPole-v1") == 1
    assert "--space agent.clip_rang" in told
    assert not Path("runs").exists()


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_what_a_sweep_of_an_algorithm_finds_is_compared_with_its_preset_in_the_same_environment(
    package: Path, local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(PACKAGE, "quick_ppo.py").write_text(QUICK_PPO)
    importlib.invalidate_caches()
    line = (
        "sweep quick_ppo --env.id CartPole-v0 --env.time-limit 100 --samples 2 --evaluations 1 --finalists 1 --seeds 2"
    )
    code = main(shlex.split(line), PACKAGE)
    told = capsys.readouterr()
    assert "claim: evaluation/return_mean >= quick_ppo: " in told.out
    tuned = importlib.import_module(f"{PACKAGE}.quick_ppo_cartpole_v0_tuned")
    config = tuned.Config()
    assert (config.env.id, config.env.time_limit, config.env_steps) == ("CartPole-v0", 100, 4_096)
    assert 1e-3 <= config.agent.optimizer.learning_rate <= 5e-3
    verified = Path("runs/quick_ppo-CartPole-v0/sweep/verify")
    (claim,) = json.loads((verified / "verdict.json").read_text())["claims"]
    assert code == (0 if claim["holds"] else 1)
    assert claim["measured"] > 0
    baseline = json.loads((verified / "baseline-quick_ppo" / "seed-101" / "config.json").read_text())
    assert baseline["chosen"]["preset"] == "classic_control"
    assert (baseline["config"]["env"]["id"], baseline["config"]["env"]["time_limit"]) == ("CartPole-v0", 100)
    assert baseline["config"]["agent"]["optimizer"]["learning_rate"] == 1e-7


def test_a_missing_extra_is_named(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["sweep", "hill"], PACKAGE) == 2
    assert 'install it: .venv/bin/pip install -c constraints.txt -e ".[search]"' in capsys.readouterr().err


@pytest.mark.full
def test_a_sweep_in_which_all_fails_says_why(
    package: Path, local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "sweep hill --samples 1 --agent.shoes broken --space agent.pace --run-dir sweep"
    assert main(shlex.split(line), PACKAGE) == 2
    assert "no trial came to its end: " in (told := capsys.readouterr().err)
    assert "exit code 2: agent.shoes: they are broken" in told


@pytest.mark.full
def test_a_sweep_that_is_killed_goes_on(package: Path) -> None:
    asked = [sys.executable, "-m", PACKAGE, *shlex.split(SWEEP), "--pause-s", "0.2", "--scheduler", "none"]
    process = subprocess.Popen(asked, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    while "trial 1 of 2" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(4)  # in the middle of the second
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = {run.name for run in Path("sweep/trials").iterdir()}
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    runs = [run for run in Path("sweep/trials").iterdir() if (run / "result.json").exists()]
    assert before <= {run.name for run in Path("sweep/trials").iterdir()}
    assert sum(result_of(run)["status"] == "completed" for run in runs) == 2
