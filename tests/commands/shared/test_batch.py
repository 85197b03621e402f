"""Several runs in one call: seeds, lists of values, what fails, what is stopped and what goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from commands.shared.batch import BatchOptions, plan, read_seeds
from tests.support.counting import PACKAGE, command, result_of, wait_until
from training.errors import UserError

TYPES: dict[str, Any] = {
    "env.id": str,
    "seed": int,
    "gamma": float | None,
    "kind": Literal["a", "b"],
    "hidden": tuple[int, ...],
    "kwargs": dict[str, Any],
}


@pytest.mark.parametrize(
    ("words", "seeds"),
    [(["1..3"], [1, 2, 3]), (["1,3,7"], [1, 3, 7]), (["1", "3"], [1, 3]), (["5"], [5]), (["1..2,9"], [1, 2, 9])],
)
def test_seeds_are_a_range_or_a_list(words: list[str], seeds: list[int]) -> None:
    assert read_seeds(words) == seeds


@pytest.mark.parametrize("text", ["3..1", "one", "1..", "1,1", "-1", "1-3"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=f"^seeds = '{text}': it takes (such as 1..5 or 1,3,7|every seed once)"):
        read_seeds([text])


def test_lists_are_of_fields_that_take_one_value() -> None:
    asked = ["--env.id=A,B", "--gamma=0.9,0.99", "--hidden=64,64", '--kwargs={"a":1,"b":2}', "--run-dir=x,y"]
    runs = plan(asked, TYPES, BatchOptions(seeds=("1..2",)))
    assert len(runs) == 8
    assert runs[1].differs == {"env.id": "A", "gamma": "0.9", "seed": "2"}
    assert set(runs[1].words) == {
        *("--env.id=A", "--gamma=0.9", "--seed=2"),
        *("--hidden=64,64", '--kwargs={"a":1,"b":2}', "--run-dir=x,y"),
    }
    (one,) = plan(['--env.id="A,B"', "--kind=a"], TYPES, BatchOptions())
    assert one.differs == {}
    with pytest.raises(UserError, match="values with commas between them, each once"):
        plan(["--env.id=A,"], TYPES, BatchOptions())
    with pytest.raises(UserError, match="--seed and --seeds are given"):
        plan(["--seed=1"], TYPES, BatchOptions(seeds=("1",)))


@pytest.mark.usefixtures("workplace")
def test_seeds_are_trained_in_turn_and_summed_up_and_one_that_fails_stops_no_other(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert command("train counting --seeds 1..3 --gain 2,4 --env-steps 0 --tracker none --run-dir all") == 2
    assert not Path("all").exists(), "a mistake is found before the first begins"
    capfd.readouterr()
    code = main_with("train", "counting", "--seeds", "1..3", "--broken", "crash of 2", "--tracker", "none")
    assert code == 1
    out, err = capfd.readouterr()
    begins = [line for line in err.splitlines() if line.startswith("[")]
    assert ["ETA of all" in line for line in begins] == [False, True, True]
    table = out[out.index("\nseed ") + 1 :].splitlines()
    assert [line.split()[:2] for line in table[1:4]] == [["1", "completed"], ["2", "failed"], ["3", "completed"]]
    assert table[4] == "score 102, 95 % interval 89.2938 to 114.706, 2 seeds"


def main_with(*argv: str) -> int:
    from experiments.__main__ import main

    return main(list(argv), PACKAGE)


@pytest.mark.full
@pytest.mark.usefixtures("workplace")
def test_what_is_finished_is_not_trained_again(capfd: pytest.CaptureFixture[str]) -> None:
    asked = "train counting --seeds 1,2 --tracker none"
    assert command(asked) == 0
    first = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("result.json")}
    assert len(first) == 2
    assert command(f"{asked} --resume") == 0
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("result.json")} == first
    assert "[2/2] seed=2: is finished in runs/counting/" in capfd.readouterr().err
    assert command("train counting --seeds 1..3 --tracker none --resume") == 0
    assert len(list(Path("runs").rglob("result.json"))) == 3
    assert command("train counting --seeds 1 --tracker none --run-dir all") == 0
    assert command("train counting --seeds 1 --tracker none --run-dir all") == 2
    assert "all/seed=1 is there already: --resume goes on with it" in capfd.readouterr().err
    assert command("train counting --seeds 1 --gain 2 --tracker none --run-dir all --resume") == 2
    assert "all/seed=1 is a run with other options: take another --run-dir" in capfd.readouterr().err


@pytest.mark.full
@pytest.mark.usefixtures("workplace")
def test_a_signal_saves_the_run_and_ends_all_and_the_same_call_goes_on() -> None:
    asked = ["train", "counting", "--seeds", "1,2", "--tracker", "none", "--run-dir", "all", "--env-steps", "60"]
    slow = [sys.executable, "-m", PACKAGE, *asked, "--pause-s", "0.2"]
    process = subprocess.Popen(slow, stderr=subprocess.PIPE, text=True, env={**os.environ})
    wait_until(Path("all/seed=1/checkpoints").exists, process)
    process.send_signal(signal.SIGTERM)
    told = process.communicate()[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert f"go on with: python -m experiments {' '.join(slow[3:])} --resume\n" in told
    assert result_of("all/seed=1")["status"] == "interrupted"
    assert not Path("all/seed=2").exists()
    done = json.loads(Path("all/seed=1/result.json").read_text())["counters"]["env_steps"]
    assert 0 < done < 60
    assert main_with(*asked, "--pause-s", "0.2", "--resume") == 0
    assert [result_of(f"all/seed={seed}")["status"] for seed in (1, 2)] == ["completed", "completed"]
