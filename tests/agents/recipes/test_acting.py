"""Environments are divided as the config says, and a run is finished with what its policies measure."""

from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents.acting.collector import LocalCollector
from agents.acting.evaluation import EvaluationConfig
from agents.recipes import acting
from agents.recipes.acting import ActingConfig, make_collector
from envs.config import EnvConfig
from tests.support.toy_envs import Counting
from training.core import Counters
from training.errors import UserError
from training.run.checkpoint import DamagedError


def config(**changes: Any) -> ActingConfig:
    agent = SimpleNamespace(gamma=0.9)
    evaluation = EvaluationConfig(episodes=2, final_episodes=2, num_envs=2)
    given: dict[str, Any] = {"agent": agent, "env": EnvConfig("CartPole-v1"), "evaluation": evaluation}
    return ActingConfig(**{**given, **changes})


@pytest.fixture(autouse=True)
def without_optimizers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.recipe.optimizers_of", lambda own: {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env_steps": 0}, "env_steps = 0: it takes at least 1"),
        ({"stop_at_return": float("nan")}, "stop_at_return = nan: it takes a finite number, or None"),
        ({"workers": -1}, "workers = -1: it takes at least 0"),
        ({"max_replacements": -1}, "max_replacements = -1"),
        ({"groups": 0}, "groups = 0"),
        ({"workers": 3}, "num_envs = 8: it takes a multiple of workers = 3"),
        ({"workers": 2, "groups": 3, "num_envs": 6}, "groups = 3: it takes a multiple of workers = 2"),
        ({"learners": 2, "workers": 2}, "workers = 2: it takes 0 with learners = 2: those step the environments"),
        ({"groups": 3}, "num_envs = 8: it takes a multiple of groups = 3"),
        ({"worker_timeout_s": 0.0}, "worker_timeout_s = 0.0: it takes more than 0 seconds"),
    ],
)
def test_environments_that_cannot_be_divided_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        config(**changes)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("changes", "groups"),
    [({}, 1), ({"groups": 4}, 4), ({"workers": 2}, 2), ({"workers": 2, "groups": 4}, 4), ({"learners": 4}, 4)],
)
def test_there_is_a_group_for_each_worker_or_learner(changes: dict[str, Any], groups: int) -> None:
    assert config(**changes).inference_groups == groups


def test_what_no_other_process_can_import_has_no_workers() -> None:
    class Local(Counting):
        pass

    env = EnvConfig.of(Local)
    assert config(env=env).env.id == "__main__:test_what_no_other_process_can_import_has_no_workers.Local"
    for elsewhere in ({"workers": 2}, {"learners": 2}):
        with pytest.raises(UserError, match=r"^env.id = .*: it takes an environment at the top of a module, which"):
            config(env=env, **elsewhere)


def test_a_collector_holds_all_environments_in_their_groups() -> None:
    with closing(make_collector(config(groups=4))) as collector:
        assert isinstance(collector, LocalCollector)
        assert collector.num_envs == 8
        assert len(collector.state_dict()["groups"]) == 4


def test_a_damaged_best_checkpoint_does_not_cost_the_run_its_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def damaged(*_: Any) -> None:
        raise DamagedError("its weights are cut off")

    finished: dict[str, Any] = {}
    run: Any = SimpleNamespace(
        folder=Path("run"),
        measuring=nullcontext,
        finish=lambda now, **result: finished.update(result, now=now),
    )
    agent: Any = SimpleNamespace(state_dict=dict)
    evaluate: Any = SimpleNamespace(final=lambda policy: {"evaluation/return_mean": 3.0})
    checkpoint: Any = SimpleNamespace(best=Path("run/checkpoints/1"))
    monkeypatch.setattr(acting, "policy_of", lambda state: "the policy")
    monkeypatch.setattr(acting, "load_policy", damaged)
    acting.finish(run, agent, evaluate, Counters(updates=2), checkpoint, {"training/regret": 1.0})
    assert finished["metrics"] == {"evaluation/return_mean": 3.0, "training/regret": 1.0}
    assert finished["best"] == {}
    assert "the best checkpoint cannot be measured: its weights are cut off" in capsys.readouterr().err
