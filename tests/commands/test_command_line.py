"""What every command shares: how it is found, what it answers to mistakes, and its exit code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from importlib import import_module
from pathlib import Path

import pytest

from commands.command_line import usage
from experiments.__main__ import main
from tests.support import ROOT
from tests.support.counting import PACKAGE, command, result_of
from training.experiments import constant_of, find_scripts, first_line

pytestmark = pytest.mark.usefixtures("workplace")


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
        (
            "train counting --tracker of",
            "tracker = 'of': it takes auto, online or offline, which are W&B, tensorboard, several",
        ),
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
        ("evaluate no/where --seed -1", "seed = -1: it takes an integer of at least 0"),
        ("evaluate no/where --checkpoint first", "checkpoint = 'first': it takes 'last' or 'best'"),
        ("verify counting --jobs 0", "jobs = 0: it takes at least 1"),
        ("verify counting --seed 3", "seed = 3: verify trains the seeds 101 and on"),
        ("verify cmpared", "unknown experiment cmpared: did you mean compared?"),
        ("sync nowhere", "nowhere "),
        (
            "sync no/where --tracker of",
            "tracker = 'of': it takes auto, online or offline, which are W&B, tensorboard, several",
        ),
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
        ("ppo_cartpole --evaluation.episodes 0", "evaluation.episodes = 0: it takes at least 1"),
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


COMMANDS = find_scripts("commands", "TAKES")


def test_every_file_but_the_dispatcher_is_a_command_with_a_test_of_its_name() -> None:
    files = {file.stem for file in (ROOT / "commands").glob("*.py")} - {"__init__", "__main__", "command_line"}
    assert files == set(COMMANDS)
    assert [name for name in COMMANDS if not (ROOT / "tests" / "commands" / f"test_{name}.py").exists()] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_known_by_its_file_and_has_options_that_stay_as_they_are(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"  {name} {constant_of(COMMANDS[name], 'TAKES')}".rstrip() in usage()
    assert first_line(COMMANDS[name]) in usage()
    module = import_module(f"commands.{name}")
    assert callable(module.main)
    if hasattr(module, "Options") and constant_of(COMMANDS[name], "TAKES"):
        with pytest.raises(FrozenInstanceError):
            module.Options().run_dir = "elsewhere"
    assert command(f"{name} --help") == 0
    assert f"python -m experiments {name}" in capsys.readouterr().out


def test_every_command_about_a_run_takes_a_word_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train counting --tracker none") == 0
    (folder,) = Path("runs/counting").iterdir()
    capsys.readouterr()
    for word in ("latest", "counting", folder.name[:20]):
        assert command(f"resume {word}") == 0
        assert capsys.readouterr().err.splitlines()[0] == f"{word} is {folder}"
    takes_a_run = [name for name, script in COMMANDS.items() if constant_of(script, "TAKES") == "RUN"]
    assert {"evaluate", "record", "resume", "sync"} <= set(takes_a_run)
    for name in takes_a_run:
        assert command(f"{name} nowhere") == 2
        told = capsys.readouterr().err
        assert told == f"error: nowhere is not a run: runs/ has runs of counting (1); the newest is {folder}\n"


@pytest.mark.parametrize(("asked", "code"), [("list", 141), ("--help", 0), ("verify --help", 141)])
def test_a_reader_that_goes_away_is_no_error(asked: str, code: int) -> None:
    read, write = os.pipe()
    os.close(read)
    program = [sys.executable, "-m", "experiments", *asked.split()]
    done = subprocess.run(program, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (code, "")
