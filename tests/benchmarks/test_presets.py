"""The benchmark of the defaults: its pairs are fair, nobody tuned for them, and it goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import presets
from envs.config import EnvConfig
from envs.families import kind_of
from training.errors import UserError
from training.experiments import find_scripts, load_experiment


def test_there_are_ten_environments_that_no_preset_names() -> None:
    named = {
        preset
        for name in find_scripts("experiments", "PRESETS")
        for preset in load_experiment(name, "experiments").PRESETS
    }
    assert len(presets.ENVIRONMENTS) == 10
    assert not named & set(presets.ENVIRONMENTS)


@pytest.mark.parametrize("pair", list(presets.pairs(presets.Options())), ids=str)
def test_both_sides_of_a_pair_have_the_same_problem_seed_and_budget(pair: presets.Pair) -> None:
    ours, theirs = presets.configs(pair, 101).values()
    for key in ("seed", "env", "env_steps", "evaluation", "threads", "device"):
        assert getattr(ours, key) == getattr(theirs, key)
    assert theirs.agent.algorithm.lower() == pair.algorithm
    assert theirs.agent == replace(theirs.agent, arguments={}, policy_kwargs={}, normalize_observation=False)
    assert load_experiment(pair.algorithm, "experiments").ACTIONS in ("any", kind_of(pair.env).actions)
    assert pair.env.longest_episode_steps is not None, "an evaluation ends"


def test_a_part_can_be_asked_for() -> None:
    assert {pair.algorithm for pair in presets.pairs(presets.Options(only="Reacher-v5"))} == {"ppo", "sac"}
    assert len(list(presets.pairs(presets.Options(only="dqn", env_steps=7)))) == len(presets.DISCRETE)
    assert len(list(presets.pairs(presets.Options()))) == 20


@pytest.mark.full
def test_what_is_finished_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--only", "FrozenLake-v1", "--seeds", "1", "--env-steps", "1200", "--run-dir", str(tmp_path)]
    presets.main(asked)
    table = capsys.readouterr().out
    assert table.count("| FrozenLake-v1 | 1,200 |") == 2  # of PPO and DQN
    runs = {folder: folder.stat().st_ino for folder in tmp_path.glob("*/*/*")}
    assert {folder.name for folder in runs} == {"ours-seed-1", "theirs-seed-1"}
    presets.main(asked)
    assert capsys.readouterr().out == table
    assert {folder: folder.stat().st_ino for folder in tmp_path.glob("*/*/*")} == runs
    (tmp_path / "dqn" / "FrozenLake-v1" / "ours-seed-1" / "result.json").unlink()
    presets.main(asked)
    assert capsys.readouterr().out == table  # the same seed


def test_below_is_what_the_bound_says() -> None:
    pair = presets.Pair("ppo", EnvConfig("CartPole-v0"), 100)
    worse = [{"ours": 10.0 + seed, "theirs": 20.0 - seed} for seed in range(3)]
    assert presets.row(pair, worse).endswith("| 3 | yes |\n")
    alike = [{"ours": 10.0, "theirs": 9.0}, {"ours": 10.0, "theirs": 11.5}, {"ours": 10.0, "theirs": 10.0}]
    assert presets.row(pair, alike).endswith("| 3 | no |\n")
    assert "| 10 | 10 | +0 |" in presets.row(pair, [{"ours": 10.0, "theirs": 10.0}] * 3)


def test_a_part_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "measured", lambda pair, seed, root: {"ours": 1.0, "theirs": 1.0})
    monkeypatch.setattr(presets, "PAGE", tmp_path / "presets.md")
    with pytest.raises(UserError, match="--write takes all pairs"):
        presets.main(["--only", "ppo", "--write"])
    presets.main(["--write"])
    assert (tmp_path / "presets.md").read_text().count("\n| ") == 21
