"""The command line, on small experiments in a package of their own: what it prints, writes and answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import main
from training.core import UserError
from training.results import write_docs
from training.run import Run

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "trials"

COUNTING = '''
from __future__ import annotations
import time
from dataclasses import dataclass
import torch
from training.run import CheckpointConfig
from training.claims import Claim
from training.core import Budget, Every, Last, UserError, require
from training.fit import fit

@dataclass(frozen=True)
class Config:
    seed: int = 1
    env_steps: int = 40
    gain: float = 1.0
    """What a seed is worth."""
    pause_s: float = 0.0
    broken: str = "no"

    def __post_init__(self) -> None:
        require(self.env_steps >= 1, "env_steps", self.env_steps, "at least 1")

class Counting:
    """Stream and algorithm in one: every update counts to the next number."""

    def __init__(self, pause_s: float) -> None:
        self.count, self.pause_s = 0, pause_s

    def next(self, now):
        time.sleep(self.pause_s)
        return {"number": torch.tensor([self.count])}, now.advance(env_steps=5), {}

    def update(self, batch, now):
        self.count += 1
        return {"counting/count": Last(float(self.count))}, {}

    def learned(self, feedback): pass
    def state_dict(self): return {"count": self.count}
    def load_state_dict(self, state): self.count = state["count"]

def train(config, run):
    if config.broken == "crash":
        raise RuntimeError("the bridge fell")
    if config.broken == "mistake":
        raise UserError("the extra is missing: install it with pip")
    until = Budget(config.env_steps)
    counting = Counting(config.pause_s)
    log = run.open_log(every=Every(10), until=until)
    checkpoint = run.checkpoint({"counting": counting}, CheckpointConfig(every=Every(10)))
    now = fit(counting, counting, until=until, log=log, checkpoint=checkpoint)
    run.finish(now, metrics={"score": 100 + config.gain * config.seed, "count": counting.count}, best={})
'''
EXPERIMENTS = {
    "counting": '"""Counts to a budget.\n\nMore."""' + COUNTING + 'CLAIMS = (Claim("score", ">=", 99.0),)\n',
    "compared": '"""Counts better."""'
    + COUNTING.replace("gain: float = 1.0", "gain: float = 2.0")
    + 'CLAIMS = (Claim("score", ">=", 300.0), Claim("score", ">=", baseline="counting"))\n',
    "helper": '"""No experiment: it claims nothing."""\nraise ImportError\n',
    "__init__": "",
    "__main__": f"import sys\nfrom experiments.__main__ import main\nsys.exit(main(sys.argv[1:], {PACKAGE!r}))\n",
}


@pytest.fixture(scope="session")
def package_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    (folder / PACKAGE).mkdir()
    for name, text in EXPERIMENTS.items():
        (folder / PACKAGE / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(autouse=True)
def workplace(package_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty current folder, from which the package and the platform can be imported, also by subprocesses."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(package_folder)
    monkeypatch.setenv("PYTHONPATH", f"{package_folder}{os.pathsep}{ROOT}")


def command(line: str) -> int:
    return main(line.split(), PACKAGE)


def result_of(folder: str | Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(Path(folder, "result.json").read_text())
    return result


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    while not condition():
        assert process.poll() is None, "it ended before"
        time.sleep(0.02)


def test_list_and_help_import_nothing_heavy_and_know_every_experiment() -> None:
    script = (
        "import sys, time; begun = time.monotonic()\n"
        "from experiments.__main__ import main\n"
        "assert main(['list']) == 0 and main(['--help']) == 0\n"
        "assert not {'torch', 'gymnasium', 'numpy', 'pydantic'} & set(sys.modules), 'heavy'\n"
        "assert time.monotonic() - begun < 1, 'slow'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "ppo_cartpole " in done.stdout
    assert "train NAME" in done.stdout


def test_list_shows_what_makes_claims_with_the_first_line_of_its_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list") == 0
    assert capsys.readouterr().out == "compared  Counts better.\ncounting  Counts to a budget.\n"


def test_train_writes_its_run_and_prints_the_verdict_of_its_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train compared --seed 3 --tracker none --run-dir here") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "claim: score >= counting: judged by `verify`, which runs counting on the same seeds",
        "score 106",
        "count 8",
        "claim: score >= 300: does not hold for this one seed (106); `verify` judges it over seeds",
        "run: here",
    ]
    result = result_of("here")
    assert (result["status"], result["seed"], result["counters"]["env_steps"]) == ("completed", 3, 40)
    assert [(claim["holds"], claim["measured"], claim["seeds"]) for claim in result["claims"]] == [(False, 106, [3])]


def test_the_help_of_a_command_lists_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = {
        "train counting": ["--run-dir", "--tracker", "--gain", "What a seed is worth.", "Counts to a budget."],
        "resume": ["--env-steps"],
        "verify": ["--seeds", "--jobs", "--run-dir"],
        "evaluate": ["--episodes", "--checkpoint", "--seed", "--stochastic"],
    }
    for line, words in wanted.items():
        assert command(f"{line} --help") == 0
        text = capsys.readouterr().out
        assert [word for word in words if word not in text] == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tran counting", "unknown command tran: did you mean train?"),
        ("list all", "unexpected 'all'"),
        ("train", "train takes NAME first"),
        ("train --seed 1", "train takes NAME first"),
        ("train countin", "unknown experiment countin: did you mean counting?"),
        ("train helper", "unknown experiment helper: there are compared, counting"),
        ("train counting --sed 1", "unknown option --sed: did you mean --seed?"),
        ("train counting --seed one", "seed = 'one': it takes a valid integer"),
        ("train counting --env-steps 0", "env_steps = 0: it takes at least 1"),
        ("train counting --tracker of", "tracker = 'of': it takes 'auto', 'online', 'offline' or 'none'"),
        ("train counting --broken mistake --tracker none", "the extra is missing: install it with pip"),
        ("train counting --run-dir taken", "run folder taken"),
        ("train counting --run-dir file", "run folder taken"),
        ("resume nowhere", "nowhere is not a run"),
        ("resume taken", "taken is not a run"),
        ("resume", "resume takes RUN first"),
        ("evaluate nowhere", "nowhere is not a run"),
        ("evaluate nowhere --checkpoint first", "checkpoint = 'first': it takes 'last' or 'best'"),
        ("verify counting --jobs 0", "jobs = 0: it takes at least 1"),
        ("verify counting --seed 3", "seed = 3: verify trains the seeds 1 to --seeds 5"),
        ("verify cmpared", "unknown experiment cmpared: did you mean compared?"),
        ("sync nowhere", "nowhere "),
        ("results now", "unexpected 'now'"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_exit_code_2(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken").mkdir()
    Path("taken", "thesis.txt").write_text("mine")
    Path("file").write_text("mine")
    assert command(line) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"error: {message}")


def test_a_subprocess_ends_with_the_exit_code_and_one_line() -> None:
    asked = [sys.executable, "-m", PACKAGE, "train", "counting", "--sed", "1"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unknown option --sed: did you mean --seed?\n"


def test_a_crash_keeps_its_traceback_and_the_run_says_failed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --broken crash --tracker none --run-dir here") == 1
    assert "RuntimeError: the bridge fell" in capsys.readouterr().err
    assert result_of("here")["status"] == "failed"


def test_an_interrupted_run_says_how_to_continue_and_continues(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "train counting --env-steps 100 --tracker none --run-dir here --pause-s 0.1"
    process = subprocess.Popen([sys.executable, "-m", PACKAGE, *asked.split()], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: any(Path("here", "checkpoints").glob("*[0-9]")), process)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert "continue with: python -m experiments resume here" in told
    assert result_of("here")["status"] == "interrupted"

    settings = json.loads(Path("here", "config.json").read_text())
    settings["config"]["pause_s"] = 0.0
    Path("here", "config.json").write_text(json.dumps(settings))
    assert command("resume here") == 0
    assert command("train counting --env-steps 100 --tracker none --run-dir there") == 0
    assert result_of("here")["metrics"] == result_of("there")["metrics"]
    assert Path("here", "metrics.jsonl").read_bytes() == Path("there", "metrics.jsonl").read_bytes()
    assert command("resume here") == 0
    assert "finished" in capsys.readouterr().err


def test_a_finished_run_is_extended_as_its_child(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker none --run-dir here") == 0
    assert command("resume here --env-steps 40") == 2
    assert "it takes more than the 40 that here has done" in capsys.readouterr().err
    assert command("resume here --env-steps 60") == 0
    (child,) = Path("runs", "counting").iterdir()
    assert result_of(child)["parent"] == "here"
    assert result_of(child)["metrics"]["count"] == 12
    assert result_of("here")["metrics"]["count"] == 8
    steps = [json.loads(row)["env_steps"] for row in Path(child, "metrics.jsonl").read_text().splitlines()]
    assert steps == [10, 20, 30, 40, 50, 60]


def test_a_run_that_another_process_holds_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker none --run-dir here") == 0
    with Run.open(Path("here")):
        capsys.readouterr()
        assert command("resume here") == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("error: run folder here is locked by process")


def test_evaluate_measures_what_the_run_measured_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "train ppo_cartpole --seed 5 --env-steps 512 --tracker none --run-dir here --evaluation.final-episodes 20"
    assert main(asked.split()) == 0
    capsys.readouterr()
    assert main(["evaluate", "here"]) == 0
    measured = result_of("here")["metrics"]
    assert capsys.readouterr().out.splitlines() == [f"{name} {value:.6g}" for name, value in measured.items()]
    assert main(["evaluate", "here", "--episodes", "10", "--seed", "6", "--stochastic"]) == 0
    assert float(capsys.readouterr().out.split()[1]) != measured["evaluation/return_mean"]
    assert main(["evaluate", "here", "--episodes", "7"]) == 2
    assert "evaluation.final_episodes = 7: it takes a positive multiple" in capsys.readouterr().err


def train_for_verify(name: str, folder: str, seeds: range, options: str = "") -> None:
    for seed in seeds:
        line = f"train {name} --seed {seed} --tracker none --run-dir {folder}/seed-{seed} {options}"
        assert command(line) == 0


def test_verify_judges_finished_seeds_against_target_and_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    folder = "runs/compared/verify"
    train_for_verify("compared", folder, range(1, 6))
    train_for_verify("counting", f"{folder}/baseline-counting", range(1, 6))
    capsys.readouterr()
    assert command("verify compared") == 1
    said = capsys.readouterr()
    assert said.err.count("finished before") == 10
    assert "claim: score >= 300: does not hold (106, " in said.out
    assert "claim: score >= counting: holds (3, " in said.out

    report = json.loads(Path("docs/results/compared.json").read_text())
    assert report == json.loads(Path(folder, "verdict.json").read_text())
    assert [claim["holds"] for claim in report["claims"]] == [False, True]
    assert [figures["final"]["score"] for figures in report["runs"]["compared"]] == [102, 104, 106, 108, 110]
    assert [figures["final"]["score"] for figures in report["runs"]["counting"]] == [101, 102, 103, 104, 105]
    assert report["command"] == "python -m experiments verify compared --seeds 5"
    assert {"commit", "date", "hardware", "packages", "python"} <= set(report)

    Path("README.md").write_text("before\n<!-- results:comp* -->\nold\n<!-- /results -->\nafter\n")
    assert command("results") == 0
    text = Path("README.md").read_text()
    assert "| `compared` | score >= 300 | 106 | 102.074 to 109.926 | 5 | no | 40 | 0.0 |" in text
    assert text.startswith("before\n<!-- results:comp* -->\n| experiment |")
    assert text.endswith("|\n<!-- /results -->\nafter\n")
    assert write_docs(Path()) == []


def test_a_table_without_results_names_its_file() -> None:
    Path("README.md").write_text("<!-- results:ppo_* -->\n<!-- /results -->\n")
    with pytest.raises(UserError, match=r"results:ppo_\* in README.md matches nothing"):
        write_docs(Path())


def test_verify_continues_where_it_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    """Seed 1 is finished, seed 2 was stopped, seed 3 is of another config."""
    folder = Path("out")
    train_for_verify("counting", "out", range(1, 4))
    stopped = result_of("out/seed-2")
    Path("out/seed-2/result.json").write_text(json.dumps({**stopped, "status": "interrupted"}))
    Path("out/seed-3").rename("elsewhere")
    train_for_verify("counting", "out", range(3, 4), options="--gain 5")
    before = Path("out/seed-1/result.json").stat().st_mtime_ns
    capsys.readouterr()

    assert command("verify counting --seeds 3 --jobs 2 --run-dir out") == 0
    said = capsys.readouterr().err
    assert "counting seed 1: finished before" in said
    assert "counting seed 2: resumes" in said
    assert "set aside as out/seed-3.1" in said
    assert "counting seed 3: trains" in said
    assert Path("out/seed-1/result.json").stat().st_mtime_ns == before
    assert result_of("out/seed-2")["status"] == "completed"
    assert result_of("out/seed-3.1")["metrics"]["score"] == 115
    assert result_of("out/seed-3")["metrics"] == result_of("elsewhere")["metrics"]
    assert json.loads((folder / "verdict.json").read_text())["claims"][0]["seeds"] == [1, 2, 3]
    assert not Path("docs").exists(), "three seeds are fewer than usual"


def test_verify_shows_the_end_of_a_failing_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("verify counting --seeds 1 --broken crash") == 1
    said = capsys.readouterr().err
    assert "counting seed 1: failed with exit code 1" in said
    assert "RuntimeError: the bridge fell" in said


def test_a_seed_that_complains_about_the_input_ends_verify_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("verify counting --seeds 1 --broken mistake") == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == "error: counting seed 1: the extra is missing: install it with pip"


def test_an_interrupted_verify_leaves_no_process_behind() -> None:
    asked = "verify counting --seeds 2 --jobs 2 --env-steps 100000 --pause-s 0.02 --run-dir out"
    process = subprocess.Popen([sys.executable, "-m", PACKAGE, *asked.split()], stderr=subprocess.DEVNULL)
    folders = [Path("out/seed-1"), Path("out/seed-2")]
    wait_until(lambda: all(any((folder / "checkpoints").glob("*[0-9]")) for folder in folders), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    for folder in folders:
        assert result_of(folder)["status"] == "interrupted"
