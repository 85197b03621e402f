"""Runs are grouped by what they learn with, and what makes them less comparable is said."""

from __future__ import annotations

from typing import Any

import pytest

from reports.comparison.groups import Grouped, group, is_how, is_problem
from reports.comparison.records import LeftOut, Record
from tests.support.compared import METRIC, record
from training.errors import UserError


def grouped(*records: Record, **how: Any) -> Grouped:
    return group(records, METRIC, "final", **how)


def with_config(one: Record, **values: Any) -> Record:
    changed = {name.replace("__", "."): value for name, value in values.items()}
    return record(one.label, one.final[METRIC], one.seed, config={**one.config, **changed})


def sizes(found: Grouped) -> dict[str, dict[str, int]]:
    return {one.name: {task: len(seeds) for task, seeds in one.seeds.items()} for one in found.groups}


def test_seeds_of_one_config_are_a_group_and_a_difference_makes_two() -> None:
    runs = [record("ppo", 1.0, seed) for seed in (1, 2)]
    longer = [with_config(run, agent__horizon=64) for run in runs]
    assert sizes(grouped(*runs)) == {"ppo": {"CartPole-v1": 2}}
    found = grouped(*runs, *longer)
    assert sizes(found) == {
        "ppo, agent.horizon 32": {"CartPole-v1": 2},
        "ppo, agent.horizon 64": {"CartPole-v1": 2},
    }
    assert found.differences == {
        "agent.horizon": {"ppo, agent.horizon 32": "32", "ppo, agent.horizon 64": "64"},
    }


def test_how_a_run_is_computed_makes_no_group() -> None:
    runs = [record("ppo", 1.0, 1), with_config(record("ppo", 1.0, 2), threads=8, evaluation__num_envs=4)]
    assert sizes(grouped(*runs)) == {"ppo": {"CartPole-v1": 2}}
    assert is_how("log_every.count")
    assert is_how("env.backend")
    assert not is_how("num_envs")
    assert is_problem("evaluation.final_episodes")


def test_one_label_is_one_group_in_several_environments_though_its_numbers_differ_between_them() -> None:
    cart = record("ppo", 1.0, 1)
    swing = record("ppo", 1.0, 1, env="Acrobot-v1", config={**cart.config, "env.id": "Acrobot-v1", "agent.horizon": 64})
    assert sizes(grouped(cart, swing)) == {"ppo": {"CartPole-v1": 1, "Acrobot-v1": 1}}


def test_another_time_limit_is_another_environment() -> None:
    found = grouped(record("ppo", 1.0, 1), with_config(record("ppo", 1.0, 2), env__time_limit=100))
    assert found.tasks == ["CartPole-v1 (env.time_limit None)", "CartPole-v1 (env.time_limit 100)"]


def test_the_same_seed_twice_is_no_second_seed() -> None:
    found = grouped(record("ppo", 1.0, 1), record("ppo", 2.0, 1, source_hash="b"))
    assert [seed.score for one in found.groups for seeds in one.seeds.values() for seed in seeds] == [2.0]
    (out,) = found.left_out
    assert "again" in out.why


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"remarks": ("not exact: it was lost",)}, "not exact: it was lost"),
        ({"source_hash": "b"}, "more than one version of its source"),
        ({"hardware": "there"}, "several machines"),
        ({"budget": 90_000}, "not the same budget of env steps"),
        ({"final": {}}, "its last evaluation during training"),
        ({"about": {METRIC: "of 5 episodes"}}, "of 5 episodes"),
    ],
)
def test_what_makes_runs_less_comparable_is_said(other: dict[str, Any], said: str) -> None:
    alike = grouped(record("ppo", 1.0, 1), record("ppo", 1.0, 2))
    assert not alike.remarks
    found = grouped(record("ppo", 1.0, 1), record("ppo", 1.0, 2, **other))
    assert any(said in remark for remark in found.remarks), found.remarks


def test_another_evaluation_is_said() -> None:
    one = record("ppo", 1.0, 1)
    pair = [with_config(one, evaluation__final_episodes=count) for count in (100, 20)]
    found = grouped(pair[0], record("sac", 1.0, 2, config=pair[1].config))
    assert any("not the same evaluation" in remark and "sac: 20" in remark for remark in found.remarks)


def foreign(env: str | None, label: str = "sb3") -> Record:
    return record(label, 1.0, None, config={"env.id": env} if env else {}, source_hash=None)


def test_a_log_without_an_environment_is_taken_as_that_of_all_others_and_that_is_said() -> None:
    found = grouped(record("ppo", 1.0, 1), foreign(None))
    assert found.tasks == ["CartPole-v1"]
    assert any("names no environment" in remark for remark in found.remarks)
    assert grouped(foreign(None), foreign("Pong-v5", "other")).tasks == ["Pong-v5"]
    assert grouped(foreign(None)).tasks == ["unknown environment"]


def test_where_others_do_not_agree_it_must_be_named() -> None:
    two = [record("ppo", 1.0, 1), record("ppo", 1.0, 1, env="Acrobot-v1")]
    with pytest.raises(UserError, match="--env"):
        grouped(*two, foreign(None))
    assert sizes(grouped(*two, foreign(None), env="Acrobot-v1"))["sb3"] == {"Acrobot-v1": 1}
    assert sizes(grouped(*two, foreign("Other-v0")))["sb3"] == {"Other-v0": 1}


def test_nothing_to_compare_says_what_there_is() -> None:
    with pytest.raises(UserError, match="they have evaluation/return_mean"):
        group([record("ppo", 1.0, 1)], "loss", "final")
    with pytest.raises(UserError, match="it is interrupted"):
        group([], METRIC, "final", [LeftOut("run", "it is interrupted")])
