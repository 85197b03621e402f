"""How a run computes is decided by rule, recorded, and the same when the run is resumed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from experiments.__main__ import main
from tests.support import ROOT
from training.errors import UserError
from training.run import compute
from training.run.compute import Compute, choose_compile, choose_device, choose_threads, multiplications_of
from training.run.run import Run


@dataclass(frozen=True)
class Config:
    seed: int = 1


@pytest.fixture(autouse=True)
def own_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def make_run(tmp_path: Path) -> Run:
    return Run.create("example", Config(), tracker="none", runs=tmp_path)


def test_what_was_chosen_is_told_in_one_line() -> None:
    assert str(Compute(torch.device("cpu"), 1, compile=False)) == "computing on cpu, 1 thread, not compiled"
    assert str(Compute(torch.device("cuda"), 4, compile=True)) == "computing on cuda, 4 threads, compiled"


def test_threads_follow_the_size_of_the_network_and_the_environment_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "cores_here", lambda: 6)
    sac = multiplications_of(nn.Sequential(nn.Linear(17, 256), nn.Linear(256, 256), nn.Linear(256, 12)), 256)
    for too_small in (1, 256 * 9_000, sac):  # beside a busy process they would wait most of the time
        assert choose_threads(make_run(tmp_path), "auto", multiplications=too_small) == 1
    assert choose_threads(make_run(tmp_path), "auto", multiplications=16_384 * 9_000) == 6
    assert torch.get_num_threads() == 6
    assert choose_threads(make_run(tmp_path), 2, multiplications=1) == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert choose_threads(make_run(tmp_path), "auto", multiplications=16_384 * 9_000) == 3


def test_threads_that_wait_for_each_other_sleep_unless_it_is_asked_otherwise() -> None:
    code = "import os, experiments; print(os.environ['OMP_WAIT_POLICY'])"
    own = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    for given, policy in ({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"):
        told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=own | given, capture_output=True, text=True)
        assert told.stdout == f"{policy}\n"


def test_a_choice_is_recorded_and_made_once(tmp_path: Path) -> None:
    with make_run(tmp_path) as run:
        assert choose_threads(run, "auto", multiplications=1) == 1
        assert choose_device(run, "cpu") == torch.device("cpu")
        assert json.loads((run.folder / "config.json").read_text())["chosen"] == {"threads": 1, "device": "cpu"}
    with Run.open(run.folder) as again:
        assert choose_threads(again, "auto", multiplications=2**40) == 1


def test_long_runs_are_compiled(tmp_path: Path) -> None:
    def chosen(optimizer_steps: int, *, possible: bool = True) -> bool:
        run = make_run(tmp_path)
        return choose_compile(run, "auto", possible=possible, at_once=False, optimizer_steps=optimizer_steps)

    assert not chosen(19_999)
    assert chosen(20_000)
    assert not chosen(20_000, possible=False)


def test_short_ones_are_too_where_that_takes_no_time(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert choose_compile(run, "auto", possible=True, at_once=True, optimizer_steps=1)
    assert not choose_compile(make_run(tmp_path), "auto", possible=False, at_once=True, optimizer_steps=1)


def test_without_a_compiler_nothing_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with make_run(tmp_path) as run:
        assert choose_compile(run, asked=True, possible=True, at_once=False, optimizer_steps=1)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", "g++")
    assert not choose_compile(make_run(tmp_path), "auto", possible=True, at_once=True, optimizer_steps=10**9)
    assert capsys.readouterr().err == ""
    assert not choose_compile(make_run(tmp_path), asked=True, possible=True, at_once=False, optimizer_steps=1)
    assert "the C++ compiler g++ is missing here; not compiling" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"was compiled, and the C\+\+ compiler g\+\+ is missing here"):
        choose_compile(Run.open(run.folder), "auto", possible=True, at_once=False, optimizer_steps=1)


def test_each_stage_makes_its_own_choices_and_keeps_them(tmp_path: Path) -> None:
    with make_run(tmp_path) as run:
        assert run.stage("first").choose("compile", lambda: True)
        assert not run.stage("second").choose("compile", lambda: False)
    with Run.open(run.folder) as again:
        assert again.stage("first").choose("compile", lambda: False)
        assert not again.stage("second").choose("compile", lambda: True)


def test_a_gpu_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(make_run(tmp_path), "auto") == torch.device("cpu")
    with pytest.raises(UserError, match="device = 'cuda': torch sees no GPU here"):
        choose_device(make_run(tmp_path), "cuda")


def test_a_small_network_stays_beside_a_gpu_unless_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run(tmp_path) for _ in range(4)]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    small = multiplications_of(torch.nn.Linear(64, 64), samples=256)
    assert small == 256 * 65 * 64
    assert choose_device(runs[0], "auto", multiplications=small) == torch.device("cpu")
    assert choose_device(runs[0], "auto") == torch.device("cpu")  # as it was chosen
    assert choose_device(runs[1], "cuda", multiplications=small) == torch.device("cuda")
    assert choose_device(runs[2], "auto", multiplications=16 * small) == torch.device("cuda")
    assert choose_device(runs[3], "auto") == torch.device("cuda")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--threads", "0"], "threads = 0: it takes at least 1, or 'auto'"),
        (["--threads", "some"], "threads = 'some': it takes"),
        (["--compile", "maybe"], "compile = 'maybe': it takes"),
        (
            ["--agent.optimizer.compile", "true"],
            "agent.optimizer.compile = True: it takes False;",
        ),
    ],
)
def test_impossible_values_are_one_line(
    words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "ppo_cartpole", *words, "--run-dir", str(tmp_path / "run")]
    assert main(argv) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert complaint in error[0]


@pytest.mark.parametrize(
    ("name", "takes"),
    [
        ("a2c_cartpole", "kinds adam and adamw"),
        ("recurrent_ppo_cartpole", "False: recurrent PPO's sequences are cut where episodes begin"),
    ],
)
def test_an_algorithm_that_cannot_be_compiled_says_so(
    name: str, takes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", name, "--compile", "--run-dir", str(tmp_path / "run"), "--tracker", "none"]
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"compile = True: it takes {takes}" in line
    assert not (tmp_path / "run").exists()
