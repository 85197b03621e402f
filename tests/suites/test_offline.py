"""Learning from datasets: behaviour cloning, what its runs say and refuse, and the recipe of the datasets."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from agents.acting.evaluation import play
from agents.acting.recording import save
from agents.bc import BC, BCConfig, bc_loss
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.saved import load_policy, policy_of
from agents.recipes.cloning import samples
from envs.config import EnvConfig
from envs.episodes.dataset_folders import find_dataset
from envs.episodes.datasets import read_dataset
from envs.episodes.episodes import Episodes
from envs.making import make_vec
from experiments.__main__ import main
from experiments.offline import record_pendulum
from tests.support import ROOT
from tests.support.recorded import record_random
from training.core import Budget, Counters
from training.data.streams import Shuffled
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.options import parse_options
from training.run.logger import read_rows
from training.seeding import generator

SMALL = ActorCriticConfig(network=NetworkConfig(hidden=(32,)))
PENDULUM = EnvConfig("Pendulum-v1")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "datasets"


def repeated(kind: str, episodes: int = 60) -> tuple[EnvConfig, Episodes]:
    """Episodes of who always gives the right answer in the identity environment."""
    env = EnvConfig("tests.support.learning_envs:Identity-v0", kwargs={"kind": kind})
    recorded, _ = record_random(env, episodes)
    seen = {key: value[recorded.obs_rows] for key, value in recorded.obs.items()}
    if kind == "dict":
        action = {"action/a": seen["obs/a"], "action/b": (seen["obs/b"][:, 0] > 0).astype(np.int64)}
    else:
        action = {"action": seen["obs"]}
    return env, replace(recorded, action=action)


@pytest.mark.parametrize(
    ("kind", "at_least", "squash"),
    [
        ("discrete", 9.9, False),
        ("multi_discrete", 9.9, False),
        ("multi_binary", 9.9, False),
        ("box", -0.1, False),
        ("box", -0.1, True),
        ("dict", 9.5, False),
    ],
)
def test_it_does_what_it_was_shown(kind: str, at_least: float, squash: bool) -> None:
    env, episodes = repeated(kind)
    policy = ActorCritic(
        episodes.observation_space, episodes.action_space, replace(SMALL, squash=squash), generator(1, "weights")
    )
    until, now = Budget(60, "epochs"), Counters()
    optimizer = OptimizerConfig(learning_rate=1e-2, schedule=Schedule("linear"))
    agent = BC(policy, BCConfig(minibatch_size=64, optimizer=optimizer), until=until)
    stream = Shuffled(samples(replace(episodes, action=policy.learned_action(episodes.action))), 64, seed=1)
    critic = [weight.clone() for weight in policy.critic.parameters()]
    while not until.reached(now):
        batch, after, _ = stream.next(now)
        agent.update(batch, now)
        now = after.advance(updates=1)
    returns, _ = play(make_vec(env, 10, seed=99), policy_of(agent.state_dict()), 2, mode="greedy", rng=generator(0))
    assert returns.mean() >= at_least
    assert all(torch.equal(a, b) for a, b in zip(critic, policy.critic.parameters(), strict=True))


def test_the_loss_is_the_negative_log_likelihood_of_the_rescaled_actions() -> None:
    """Pendulum's torque goes from -2 to 2, of which the policy learns -1 to 1."""
    episodes, _ = record_random(PENDULUM, 2)
    policy = ActorCritic(
        episodes.observation_space, episodes.action_space, replace(SMALL, initial_log_std=-0.5), generator(1)
    )
    batch = samples(replace(episodes, action=policy.learned_action(episodes.action)))
    assert set(batch) == {"obs", "action"}
    assert torch.allclose(batch["action"], torch.from_numpy(episodes.action["action"]) / 2)
    loss = bc_loss(policy, batch)
    mean = policy.actor(policy.actor_encoder({"obs": torch.from_numpy(episodes.obs["obs"][episodes.obs_rows])}))
    expected = -Normal(mean, torch.tensor(-0.5).exp()).log_prob(torch.from_numpy(episodes.action["action"]) / 2)
    assert loss.count == 400
    torch.testing.assert_close(loss.sum, expected.sum())
    torch.testing.assert_close(torch.as_tensor(loss.metrics["policy/log_prob"].value), -expected.mean())


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


RECIPE = [
    *[
        "train",
        "record_pendulum",
        "--tracker",
        "none",
        "--env-steps",
        "1024",
        "--agent.horizon",
        "64",
        "--agent.epochs",
        "1",
    ],
    *[
        "--checkpoint.every.count",
        "256",
        "--mixture.episodes",
        "3",
        "--mixture.replay-episodes",
        "2",
        "--log-every.count",
        "256",
    ],
    *["--evaluation.final-episodes", "10", "--run-dir"],
]
KINDS = ("expert", "medium", "replay", "mixed")


def made(folder: str) -> dict[str, str]:
    return {kind: read_dataset(f"{folder}/datasets/regimen/pendulum/{kind}-v0").sha256 for kind in KINDS}


def test_the_recipe_makes_four_datasets_of_one_learner(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RECIPE, "run"]) == 0
    result = json.loads(Path("run/result.json").read_text())
    expert, medium, replay, mixed = (read_dataset(f"run/datasets/regimen/pendulum/{kind}-v0") for kind in KINDS)
    assert [len(part) for part in (expert, medium, replay, mixed)] == [3, 3, 8, 14]
    assert np.array_equal(mixed.reward, np.concatenate([part.reward for part in (expert, medium, replay)]))
    for kind, part in zip(KINDS, (expert, medium, replay, mixed), strict=True):
        assert result["metrics"][f"{kind}/return_mean"] == pytest.approx(part.returns.mean())
    assert result["counters"]["env_steps"] == 1024
    assert json.loads(Path("run/02-record/result.json").read_text())["parent"] == "01-learn"
    assert not find_datasets(), "only the default settings' datasets get the names"
    assert main(["record", "run", "--episodes", "2", "--dataset", "tiny/again-v0"]) == 0, "it finds the learner's stage"


def find_datasets() -> list[Path]:
    return list(Path("datasets").rglob("metadata.json"))


KILLER = """
import os, signal, sys
import agents.acting.recorded_datasets as mixtures
from experiments.__main__ import main
real, saved = mixtures.save, []
def dies(*args, **kwargs):
    if len(saved) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    saved.append(args)
    return real(*args, **kwargs)
mixtures.save = dies
main(sys.argv[1:])
"""


def test_a_recipe_that_is_killed_goes_on_and_makes_the_same() -> None:
    assert main([*RECIPE, "whole"]) == 0
    repository = ROOT
    argv = [sys.executable, "-c", KILLER, *RECIPE, str(Path("killed").absolute())]
    died = subprocess.run(argv, cwd=repository, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    first = find_dataset("killed/datasets/regimen/pendulum/expert-v0").stat().st_mtime_ns
    assert main(["resume", "killed"]) == 0
    assert made("killed") == made("whole")
    assert find_dataset("killed/datasets/regimen/pendulum/expert-v0").stat().st_mtime_ns == first
    results = [json.loads(Path(run, "result.json").read_text()) for run in ("killed", "whole")]
    assert results[0]["metrics"] == results[1]["metrics"]


def test_the_datasets_of_the_recipe_are_made_where_they_are_missing_and_never_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (small,) = parse_options(RECIPE[4:-1], record_pendulum.Config())
    monkeypatch.setattr(record_pendulum, "Config", lambda: small)
    record_pendulum.provide("tiny/other-v0")
    assert not Path("runs").exists(), "it is not the recipe's"
    record_pendulum.provide("regimen/pendulum/mixed-v0")
    told = capsys.readouterr().err
    assert "dataset regimen/pendulum/mixed-v0 is missing: record_pendulum records it first" in told
    (run,) = Path("runs/record_pendulum").iterdir()
    before = {kind: read_dataset(f"regimen/pendulum/{kind}-v0").sha256 for kind in KINDS}
    assert before == made(str(run))

    record_pendulum.provide("regimen/pendulum/mixed-v0")
    assert len(list(Path("runs/record_pendulum").iterdir())) == 1, "nothing is made twice"
    small = replace(small, seed=2)
    find_dataset("regimen/pendulum/mixed-v0").rename("aside")
    record_pendulum.provide("regimen/pendulum/mixed-v0")
    assert "dataset regimen/pendulum/expert-v0 is there already and stays" in capsys.readouterr().err
    after = {kind: read_dataset(f"regimen/pendulum/{kind}-v0").sha256 for kind in KINDS}
    assert {kind for kind in KINDS if after[kind] != before[kind]} == {"mixed"}


def test_too_few_checkpoints_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RECIPE, "run", "--checkpoint.keep-last", "1", "--evaluation.every.count", "4096"]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line == "error: run/01-learn has 1 checkpoints: a mixture takes at least 3"
