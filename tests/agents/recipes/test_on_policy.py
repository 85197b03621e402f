"""An on-policy run is put together of the parts that its config describes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.acting.evaluation import EvaluationConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.recurrent_actor_critic import RecurrentActorCritic, RecurrentActorCriticConfig
from agents.ppo import PPOConfig
from agents.recipes.on_policy import OnPolicyConfig, make_policy, train
from agents.recurrent_ppo import RecurrentPPOConfig
from envs.config import EnvConfig
from envs.making import make_vec
from tests.support.fake_agents import attentive
from tests.support.toy_envs import Counting
from training.claims import Claim, Claims
from training.core import Budget, Every
from training.errors import UserError
from training.run.run import Run

CARTPOLE = EnvConfig("CartPole-v1")
SHORT = EvaluationConfig(episodes=2, final_episodes=2, num_envs=2)


def config(**changes: Any) -> OnPolicyConfig:
    given: dict[str, Any] = {"agent": PPOConfig(horizon=8, minibatch_size=16), "num_envs": 4, "env_steps": 64}
    return OnPolicyConfig(**{"env": CARTPOLE, "evaluation": SHORT, "device": "cpu", **given, **changes})


def test_the_agent_gets_the_policy_its_config_and_rollouts_of_its_horizon(tmp_path: Path) -> None:
    make, given = attentive(), config(seed=3)
    with Run.create("example", given, folder=tmp_path / "run", tracker="none") as run:
        train(given, run, make)
    (agent,) = make.made
    assert isinstance(agent.policy, ActorCritic)
    assert (agent.config, agent.until, agent.seed) == (given.agent, Budget(64), 3)
    assert [batch["reward"].shape for batch in agent.batches] == [(8, 4), (8, 4)]
    assert run.result["counters"]["env_steps"] == 64
    assert run.result["metrics"]["evaluation/length_mean"] >= 1


def test_it_stops_once_an_evaluation_measures_enough_and_is_judged_like_any_other(tmp_path: Path) -> None:
    often = replace(SHORT, every=Every(32, "env_steps"))  # no pole falls in five steps, and none stays for 500
    claims = Claims((Claim("evaluation/return_mean", ">=", 1.0),))
    for enough, env_steps in ((5.0, 32), (500.0, 64)):
        given = config(stop_at_return=enough, evaluation=often)
        with Run.create("example", given, folder=tmp_path / f"{enough}", tracker="none", claims=claims) as run:
            train(given, run, attentive())
        assert (run.result["status"], run.result["counters"]["env_steps"]) == ("completed", env_steps)
        assert run.result["claims"][0]["holds"]
        assert (run.result["stopped_early"] or "").startswith("stop_at_return = 5: an ev") == (env_steps == 32)


def test_rewards_are_scaled_where_that_is_asked_for(tmp_path: Path) -> None:
    seen = []
    for scale_reward in (False, True):
        make, given = attentive(), config(scale_reward=scale_reward)
        with Run.create("example", given, folder=tmp_path / str(scale_reward), tracker="none") as run:
            train(given, run, make)
        seen.append(make.made[0].batches[0]["reward"])
    assert torch.equal(seen[0], torch.ones(8, 4))
    assert not torch.equal(seen[1], seen[0])


def test_the_sign_of_rewards_is_learned_from_and_their_sum_is_measured(tmp_path: Path) -> None:
    env = EnvConfig("CartPole-v1", wrappers=("tests.support.toy_wrappers:scaled(by=-7.0)",), time_limit=5)
    make, given = attentive(), config(clip_reward=True, env=env)
    with Run.create("example", given, folder=tmp_path / "run", tracker="none") as run:
        train(given, run, make)
    assert torch.equal(make.made[0].batches[0]["reward"], -torch.ones(8, 4))
    assert run.result["metrics"]["evaluation/return_mean"] == -35.0
    rows = [json.loads(row) for row in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert {row["rollout/return_mean"] for row in rows if "rollout/return_mean" in row} == {-35.0}


def test_an_environment_of_this_process_alone_is_acted_and_measured_in(tmp_path: Path) -> None:
    class Local(Counting):
        pass

    given = config(env=EnvConfig.of(Local, kwargs={"length": 4}, wrappers=("TimeAwareObservation",), time_limit=3))
    with Run.create("example", given, folder=tmp_path / "run", tracker="none") as run:
        train(given, run, attentive())
    assert run.result["metrics"]["evaluation/length_mean"] == 3
    saved = json.loads((run.folder / "config.json").read_text())["config"]["env"]
    assert EnvConfig(saved["id"]).spec.entry_point is Local


def test_signs_are_scaled_where_both_are_asked_for(tmp_path: Path) -> None:
    seen = []
    for by in (1.0, 50.0):
        env = EnvConfig("CartPole-v1", wrappers=(f"tests.support.toy_wrappers:scaled(by={by})",))
        make, given = attentive(), config(clip_reward=True, scale_reward=True, env=env)
        with Run.create("example", given, folder=tmp_path / str(by), tracker="none") as run:
            train(given, run, make)
        seen.append(make.made[0].batches[0]["reward"])
    assert torch.equal(*seen)
    assert not torch.equal(seen[0], torch.ones(8, 4))


def test_a_policy_is_of_its_configs_kind_and_its_weights_of_the_seed() -> None:
    vec = make_vec(CARTPOLE, 1, seed=0)
    spaces = vec.observation_space, vec.action_space
    first, again, other = (make_policy(ActorCriticConfig(), *spaces, seed) for seed in (1, 1, 2))
    weights = [next(policy.parameters()) for policy in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert isinstance(make_policy(RecurrentActorCriticConfig(), *spaces, 1), RecurrentActorCritic)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_envs": 3}, "agent.minibatch_size = 16: it takes a divisor of the rollout: 8 steps of 3 environments"),
        (
            {"agent": RecurrentPPOConfig(horizon=8, minibatch_size=16), "policy": RecurrentActorCriticConfig()}
            | {"num_envs": 3},
            "agent.minibatch_size = 16: it takes a divisor of the rollout: 8 steps of 3 environments",
        ),
        ({"policy": RecurrentActorCriticConfig()}, "policy = 'RecurrentActorCriticConfig': it takes ActorCritic"),
        ({"agent": RecurrentPPOConfig()}, "policy = 'ActorCriticConfig': it takes RecurrentActorCriticConfig"),
    ],
)
def test_what_does_not_fit_together_is_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        config(**changes)
    assert str(error.value).startswith(message)
