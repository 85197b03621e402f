"""`push`, `pull` and `models`: a run goes to a shelf and comes back, plays, and goes on to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.__main__ import main

pytestmark = pytest.mark.usefixtures("workplace")


def test_a_run_is_pushed_pulled_played_and_resumed_to_the_bit(capsys: pytest.CaptureFixture[str]) -> None:
    train = "train ppo_cartpole --seed 3 --env-steps 1024 --tracker none --run-dir run --evaluation.final-episodes 5"
    assert main(train.split()) == 0
    assert main(["push", "run", "shelf/cartpole"]) == 0
    pushed, command = capsys.readouterr().out.splitlines()[-2:]
    assert pushed.startswith("pushed: shelf/cartpole (")
    assert command == "anyone takes it with: regimen pull shelf/cartpole"
    assert main(["models", "shelf"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("cartpole")]
    assert row.split()[1:4] == ["ppo_cartpole", "CartPole-v1", "evaluation/return_mean"]
    assert main([*command.split()[-2:]]) == 0
    told = capsys.readouterr()
    (line,) = [line for line in told.out.splitlines() if line.startswith("run: ")]
    pulled = line.removeprefix("run: ")
    assert pulled.startswith("runs/ppo_cartpole/")
    assert told.err == ""
    assert main(["evaluate", pulled, "--episodes", "3"]) == 0
    for run, child in (("run", "one"), (pulled, "two")):
        assert main(["resume", run, "--env-steps", "2048", "--run-dir", child]) == 0
    assert Path("one/metrics.jsonl").read_bytes() == Path("two/metrics.jsonl").read_bytes()
    weights = [sorted(Path(child, "checkpoints").rglob("agent.safetensors"))[-1] for child in ("one", "two")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert main(["pull", "shelf/cartpole"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("is there already: pull takes a new folder")


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in (
        (["push", "run"], "run is not a run"),
        (["push"], "push takes RUN first"),
        (["pull"], "pull takes SOURCE first"),
        (["pull", "nowhere"], "nowhere holds no shared run"),
        (["pull", "nonsense://x"], "source = 'nonsense://x': it takes an address"),
        (["models"], "models takes SHELF first"),
    ):
        assert main(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
    for verb in ("push", "pull", "models"):
        assert main([verb, "--help"]) == 0
