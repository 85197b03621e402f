"""A run of behaviour cloning: what it says it learned from, how long it goes on, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.acting.recording import save
from agents.policies.saved import load_policy
from agents.recipes.cloning import samples
from envs.config import EnvConfig
from envs.episodes.episodes import Episodes
from experiments.__main__ import main
from tests.support.recorded import record_random
from training.run.logger import read_rows

PENDULUM = EnvConfig("Pendulum-v1")
pytestmark = pytest.mark.usefixtures("root")


QUICK = "--tracker none --evaluation.final-episodes 10 --evaluation.episodes 10 --evaluation.every.count 1"


def train(options: str, folder: str = "run") -> int:
    epochs = "" if "--epochs" in options else "--epochs 3"
    return main(f"train bc_pendulum {QUICK} {epochs} --run-dir {folder} {options}".split())


@pytest.fixture
def tiny(root: Path) -> Episodes:
    episodes, seeds = record_random(PENDULUM, 10)
    save("tiny/pendulum-v0", episodes, seeds, PENDULUM, algorithm="none", told={})
    return episodes


def test_a_run_says_what_it_learned_from_and_how_it_compares(
    tiny: Episodes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--dataset tiny/pendulum-v0 --agent.top-fraction 0.3 --policy.normalize-observation") == 0
    behaviour = tiny.returns.mean()
    told = f"learning from tiny/pendulum-v0: 3 of 10 episodes, 600 env steps; its mean return is {behaviour:.1f}"
    assert told in capsys.readouterr().err
    result = json.loads(Path("run/result.json").read_text())
    assert result["counters"] == {"env_steps": 0, "updates": 9, "samples": 1800, "epochs": 3}
    assert result["exact"]
    for measured in (result["metrics"], result["best"]):
        over = measured["evaluation/return_mean"] - behaviour
        assert measured["evaluation/return_over_behaviour"] == pytest.approx(over)
    chosen = json.loads(Path("run/config.json").read_text())["chosen"]
    assert chosen["data_sha256"] == [tiny.sha256]

    policy = load_policy("run")
    learned = tiny.top(0.3).samples()["obs"].double()
    torch.testing.assert_close(policy.normalizers["obs"].mean, learned.mean(0))
    torch.testing.assert_close(policy.normalizers["obs"].variance, learned.var(0, correction=0))


@pytest.mark.usefixtures("tiny")
def test_a_schedule_moves_inside_of_an_epoch() -> None:
    schedule = "--agent.optimizer.schedule.kind linear --agent.optimizer.schedule.warmup 0.4"
    options = f"--dataset tiny/pendulum-v0 --epochs 1 --agent.minibatch-size 100 {schedule} --log-every.count 1"
    assert train(f"{options} --agent.optimizer.learning-rate 1") == 0
    rates = [row["optimizer/learning_rate"] for row in read_rows(Path("run/metrics.jsonl")) if "optimizer/loss" in row]
    assert rates == pytest.approx([0, 1 / 4, 2 / 4, 3 / 4, *(1 - k / 6 for k in range(6))])


@pytest.mark.usefixtures("tiny")
def test_what_goes_on_after_the_data_begins_with_networks_of_its_own_shape() -> None:
    small = "--policy.network.hidden 16 --agent.critic-network.hidden 8 --agent.critics 3 --replay.minibatch-size 8"
    data = "--offline.dataset tiny/pendulum-v0 --offline.epochs 1 --offline.evaluation.final-episodes 10"
    steps = "--env-steps 150 --evaluation.final-episodes 10 --tracker none --run-dir run"
    assert main(f"train iql_then_sac_pendulum {small} {data} {steps}".split()) == 0
    assert json.loads(Path("run/result.json").read_text())["counters"]["env_steps"] == 150


def test_a_finished_run_is_extended_by_epochs(tiny: Episodes, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--dataset tiny/pendulum-v0") == 0
    assert main(["resume", "run", "--env-steps", "10"]) == 2
    assert "unknown option --env-steps" in capsys.readouterr().err
    assert main(["resume", "run", "--epochs", "3"]) == 2
    assert "a budget of 3 epochs: it takes more than the 3 that run has done" in capsys.readouterr().err
    assert main(["resume", "run", "--epochs", "5"]) == 0
    (child,) = Path("runs/bc_pendulum").iterdir()
    assert json.loads((child / "result.json").read_text())["counters"]["epochs"] == 5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--dataset tiny/pendulmu-v0", "unknown dataset tiny/pendulmu-v0: did you mean tiny/pendulum-v0?"),
        (
            "--dataset tiny/pendulum-v0 --agent.minibatch-size 3000",
            "minibatch_size = 3000: it takes 1 to 1000, the",
        ),
        ("--dataset tiny/pendulum-v0 --agent.top-fraction 0", "agent.top_fraction = 0.0: it takes a number above 0"),
        ("--dataset tiny/pendulum-v0 --epochs 0", "epochs = 0: it takes at least 1"),
        (
            "--dataset tiny/pendulum-v0 --env.id CartPole-v1",
            "dataset tiny/pendulum-v0: its observation space is Box([-1. -1. -8.], [1. 1. 8.], (3,), float32), "
            "that of CartPole-v1 is Box(",
        ),
        (
            "--dataset tiny/pendulum-v0 --evaluation.every.unit env_steps",
            "evaluation.every.unit = 'env_steps': it takes 'updates', 'samples' or 'epochs'",
        ),
        ("--dataset tiny/pendulum-v0 --num-envs 4", "unknown option --num-envs"),
    ],
)
def test_a_mistake_ends_the_run_before_it_trains(
    options: str, told: str, tiny: Episodes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(options) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {told}")
    assert not Path("run").exists()


def test_a_run_does_not_go_on_with_other_data(tiny: Episodes, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--dataset tiny/pendulum-v0") == 0
    result = json.loads(Path("run/result.json").read_text())
    Path("run/result.json").write_text(json.dumps(result | {"status": "interrupted"}))
    (root / "tiny").rename(root / "aside")
    episodes, seeds = record_random(PENDULUM, 10, seed=2)
    save("tiny/pendulum-v0", episodes, seeds, PENDULUM, algorithm="none", told={})
    assert main(["resume", "run"]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line == "error: dataset tiny/pendulum-v0 is other data than run began with: bring them back"


def test_samples_are_what_was_seen_and_done_in_each_step(tiny: Episodes) -> None:
    """The last observation of an episode, on which nothing was done, is none."""
    found = samples(tiny)
    assert set(found) == {"obs", "action"}
    assert len(found["obs"]) == len(found["action"]) == tiny.steps == 10 * 200
    np.testing.assert_array_equal(found["obs"][200], tiny.obs["obs"][201])
    np.testing.assert_array_equal(found["action"], tiny.action["action"])
