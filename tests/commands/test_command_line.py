"""The command line, on small experiments in a package of their own: what it prints, writes and answers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import main
from reports.tables import write_docs
from tests.support import ROOT
from training.errors import UserError
from training.run.run import Run

PACKAGE = "trials"

COUNTING = '''
from __future__ import annotations
import time
from dataclasses import dataclass
import torch
from training.run.checkpoint import CheckpointConfig
from training.claims import Claim
from training.core import Budget, Every
from training.errors import UserError, require
from training.metrics import Last
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

    @property
    def until(self) -> Budget:
        return Budget(self.env_steps)

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
    until = config.until
    counting = Counting(config.pause_s)
    log = run.open_log(every=Every(10), until=until)
    checkpoint = run.checkpoint({"counting": counting}, CheckpointConfig(every=Every(10)))
    now = fit(counting, counting, until=until, log=log, checkpoint=checkpoint)
    run.finish(now, metrics={"score": 100 + config.gain * config.seed, "count": counting.count}, best={})
'''
DIVERGING = '''
"""Its loss overflows in the sixth update."""
import torch
from training.run.checkpoint import CheckpointConfig
from training.core import Budget, Every
from training.fit import fit
from training.optimizer import Loss, Optimizer
from training.optimizer import OptimizerConfig
from trials import counting

CLAIMS = ()
Config = counting.Config

class Diverging(counting.Counting):
    def __init__(self, until):
        super().__init__(0.0)
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.optimizer = Optimizer({"weight": self.weight}, OptimizerConfig(kind="sgd"), until=until)

    def update(self, batch, now):
        scale = 1e30 if now.updates == 5 else 1.0
        return self.optimizer.step(lambda _: Loss((self.weight * scale).square().sum(), 1, {}), batch, now), {}

def train(config, run):
    until = config.until
    diverging = Diverging(until)
    log = run.open_log(every=Every(10), until=until)
    checkpoint = run.checkpoint({"agent": diverging}, CheckpointConfig(every=Every(10)))
    fit(diverging, diverging, until=until, log=log, checkpoint=checkpoint)
'''
EXPERIMENTS = {
    "counting": '"""Counts to a budget.\n\nMore."""' + COUNTING + 'CLAIMS = (Claim("score", ">=", 99.0),)\n',
    "compared": '"""Counts better."""'
    + COUNTING.replace("gain: float = 1.0", "gain: float = 2.0")
    + 'CLAIMS = (Claim("score", ">=", 300.0), Claim("score", ">=", baseline="counting"))\n',
    "diverging": DIVERGING,
    "helper": '"""No experiment: it claims nothing."""\nraise ImportError\n',
    "__init__": "",
    "__main__": f"import sys\nfrom experiments.__main__ import main\nsys.exit(main(sys.argv[1:], {PACKAGE!r}))\n",
}


KILLED_WHILE_COPYING = f"""
import os, shutil, signal
from experiments.__main__ import main
really_copy = shutil.copy
def copy(source, target):
    if source.name == "timing.jsonl":
        os.kill(os.getpid(), signal.SIGKILL)
    return really_copy(source, target)
shutil.copy = copy
main("resume here --env-steps 60".split(), {PACKAGE!r})
"""


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
        "import sys, time; begun = time.process_time()\n"
        "from experiments.__main__ import main\n"
        "assert main(['list']) == 0 and main(['--help']) == 0\n"
        "assert not {'torch', 'gymnasium', 'numpy', 'pydantic'} & set(sys.modules), 'heavy'\n"
        "assert time.process_time() - begun < 1, 'slow'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "ppo_cartpole " in done.stdout
    assert "train NAME" in done.stdout


def test_list_shows_what_makes_claims_with_the_first_line_of_its_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list") == 0
    assert capsys.readouterr().out == (
        "compared   Counts better.\n"
        "counting   Counts to a budget.\n"
        "diverging  Its loss overflows in the sixth update.\n"
    )


def test_train_writes_its_run_and_prints_the_verdict_of_its_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train compared --seed 3 --tracker none --run-dir here") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "score  106",
        "count  8",
        "",
        "claim: score >= counting: judged by `verify`, which runs counting on the same seeds",
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
        "evaluate": ["--episodes", "--checkpoint", "--seed", "--stochastic", "--video"],
        "sync": ["--tracker"],
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
        ("train helper", "unknown experiment helper: there are compared, counting, diverging"),
        ("train counting --sed 1", "unknown option --sed: did you mean --seed?"),
        ("train counting --seed one", "seed = 'one': it takes a valid integer"),
        ("train counting --env-steps 0", "env_steps = 0: it takes at least 1"),
        ("train counting --tracker of", "tracker = 'of': it takes 'auto', 'online', 'offline' or 'none'"),
        ("train counting --broken mistake --tracker none", "the extra is missing: install it with pip"),
        ("train counting --run-dir taken", "run folder taken"),
        ("train counting --run-dir file", "run folder taken"),
        ("train counting --run-dir file/sub", "run folder file/sub cannot be made (Not a directory)"),
        ("train counting --run-dir /proc/run", "run folder /proc/run cannot be made ("),
        ("verify counting --run-dir file", "run folder file cannot be made (File exists)"),
        ("verify counting --run-dir file/sub", "run folder file/sub cannot be made (Not a directory)"),
        ("resume nowhere", "nowhere is not a run"),
        ("resume taken", "taken is not a run"),
        ("resume", "resume takes RUN first"),
        ("evaluate nowhere", "nowhere is not a run"),
        ("evaluate nowhere --seed -1", "seed = -1: it takes an integer of at least 0"),
        ("evaluate nowhere --checkpoint first", "checkpoint = 'first': it takes 'last' or 'best'"),
        ("verify counting --jobs 0", "jobs = 0: it takes at least 1"),
        ("verify counting --seed 3", "seed = 3: verify trains the seeds 1 to --seeds 5"),
        ("verify cmpared", "unknown experiment cmpared: did you mean compared?"),
        ("sync nowhere", "nowhere "),
        ("sync nowhere --tracker of", "tracker = 'of': it takes 'auto', 'online' or 'offline'"),
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


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ppo_cartpole --log-every.count 0", "log_every.count = 0: it takes at least 1"),
        ("ppo_cartpole --checkpoint.every.count 0", "checkpoint.every.count = 0: it takes at least 1"),
        ("ppo_cartpole --checkpoint.keep-last 0", "checkpoint.keep_last = 0: it takes at least 1"),
        (
            "ppo_cartpole --evaluation.episodes 7",
            "evaluation.episodes = 7: it takes a positive multiple of its num_envs",
        ),
        ("ppo_cartpole --env.time-limit 0", "env.time_limit = 0: it takes at least 1"),
        ("ppo_cartpole --env.id CartPoel-v1", "env.id = 'CartPoel-v1': no environment is registered under this name"),
        (
            "ppo_cartpole --env.id .foo:Bar-v0",
            "env.id = '.foo:Bar-v0': it takes a module's whole name before the colon",
        ),
        (
            'ppo_cartpole --env.id FrozenLake-v1 --env.kwargs {"map_name":"9x9"} --run-dir x',
            "env.kwargs = {'map_name': '9x9'}: FrozenLake-v1 does not take them (KeyError: '9x9')",
        ),
        ("ppo_cartpole --policy.network.hidden 0", "policy.network.hidden = (0,): it takes widths of at least 1"),
        ("ppo_cartpole --agent.minibatch-size 100", "agent.minibatch_size = 100: it takes a divisor"),
        ("ppo_cartpole --agent.clip-schedule.warmup 2", "agent.clip_schedule.warmup = 2.0: it takes a fraction"),
        (
            "ppo_cartpole --agent.optimizer.schedule.over 0",
            "agent.optimizer.schedule.over = 0: it takes at least 1, or None",
        ),
        (
            "reinforce_cartpole --agent.policy-optimizer.learning-rate -1",
            "agent.policy_optimizer.learning_rate = -1.0: it takes a finite number above 0",
        ),
        ("reinforce_cartpole --agent.baseline-optimizer.momentum 0.9", "agent.baseline_optimizer.momentum = 0.9: it"),
    ],
)
def test_an_impossible_value_is_named_by_the_option_that_gave_it(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *line.split()]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


def test_a_loss_that_is_not_finite_ends_the_run_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "train ppo_cartpole --env-steps 512 --tracker none --run-dir here --evaluation.final-episodes 10"
    assert main(f"{asked} --agent.optimizer.learning-rate 1e30".split()) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert re.match(
        r"error: update 1: the loss is (nan|inf); .* is not finite for .*weight.*; there is no checkpoint yet$", told
    )
    assert result_of("here")["status"] == "failed"


def test_the_last_good_checkpoint_is_named_when_a_later_loss_is_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train diverging --tracker none --run-dir here") == 1
    *_, told = capsys.readouterr().err.splitlines()
    assert told == (
        "error: update 6: the loss is inf; the norm of the gradient is not finite for weight; "
        "the last good checkpoint is here/checkpoints/0000000004"
    )
    assert (result_of("here")["status"], result_of("here")["checkpoint"]) == ("failed", "checkpoints/0000000004")


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


def test_one_stage_of_a_run_is_not_extended(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker none --run-dir here") == 0
    settings = json.loads(Path("here", "config.json").read_text())
    Path("here", "config.json").write_text(json.dumps(settings | {"stage": "02-here"}))
    assert command("resume here --env-steps 60") == 2
    assert "here is a stage of the run" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_an_extension_that_is_killed_while_it_is_made_is_no_run(tmp_path: Path) -> None:
    """Resuming it would start from scratch otherwise: what it begins with comes first, `config.json` last."""
    assert command("train counting --tracker none --run-dir here") == 0
    asked = [sys.executable, "-c", KILLED_WHILE_COPYING]
    assert subprocess.run(asked, check=False).returncode == -signal.SIGKILL
    (child,) = Path("runs", "counting").iterdir()
    assert (child / "checkpoints").exists()
    assert command(f"resume {child}") == 2


def test_the_place_of_the_copy_in_wandb_is_told_before_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker offline --run-dir here") == 0
    *_, copy, verdict, run = capsys.readouterr().out.splitlines()
    assert verdict.startswith("claim: score >= 99: holds for this one seed")
    folder, _, sending = copy.removeprefix("wandb: offline copy in ").partition(", ")
    assert sending == "send it with: make sync RUN=here"
    assert any(Path(folder).glob("*.wandb"))
    assert run == "run: here"
    assert command("sync here --tracker offline") == 0
    assert any(Path(capsys.readouterr().out.strip()).glob("*.wandb"))


def test_a_run_that_another_process_holds_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker none --run-dir here") == 0
    with Run.open(Path("here")):
        capsys.readouterr()
        assert command("resume here") == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("error: run folder here is locked by process")


def test_a_mistake_that_training_finds_does_not_take_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --broken mistake --tracker none --run-dir here") == 2
    assert not Path("here").exists()
    assert command("train counting --tracker none --run-dir here") == 0
    assert command("train counting --broken mistake --tracker none --run-dir here") == 2
    assert "run folder taken" in capsys.readouterr().err
    assert result_of("here")["status"] == "completed"


def test_the_end_of_a_run_sets_what_was_measured_beside_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "train ppo_cartpole --env-steps 512 --tracker none --run-dir here --evaluation.final-episodes 10"
    assert main([*asked.split(), "--evaluation.every.count", "256"]) == 0
    *table, empty, claim, run = capsys.readouterr().out.splitlines()
    assert [line.split() for line in table] == [
        [name, f"{value:.6g}", "best", "checkpoint", f"{result_of('here')['best'][name]:.6g}"]
        for name, value in result_of("here")["metrics"].items()
    ]
    (column,) = {line.index("best checkpoint") for line in table}
    assert column < 40
    assert (empty, run) == ("", "run: here")
    assert claim.startswith("claim: evaluation/return_mean >= 475: does not hold for this one seed")


def test_evaluate_measures_what_the_run_measured_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "train ppo_cartpole --seed 5 --env-steps 512 --tracker none --run-dir here --evaluation.final-episodes 20"
    assert main(asked.split()) == 0
    capsys.readouterr()
    assert main(["evaluate", "here"]) == 0
    measured = result_of("here")["metrics"]
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert told == [[name, f"{value:.6g}"] for name, value in measured.items()]
    assert main(["evaluate", "here", "--episodes", "10", "--seed", "6", "--stochastic"]) == 0
    assert float(capsys.readouterr().out.split()[1]) != measured["evaluation/return_mean"]
    assert main(["evaluate", "here", "--episodes", "7"]) == 2
    assert capsys.readouterr().err == (
        "error: episodes = 7: it takes a positive multiple of evaluation.num_envs = 10\n"
    )
    assert main(["evaluate", "here", "--episodes", "10", "--video"]) == 0
    video = Path(capsys.readouterr().out.splitlines()[-1].removeprefix("video: "))
    assert video == Path("here/videos/CartPole-v1-seed-5.mp4")
    assert video.stat().st_size > 5_000


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
    assert "| `compared` | score >= 300 | 106 | 102.074 to 109.926 | 5 | no | 40 | " in text
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
