"""The numbers that environments tell of their episodes reach the log and evaluations, the same from every backend."""

from __future__ import annotations

import math
from contextlib import closing
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents.acting.collector import LocalCollector, make_group
from agents.acting.evaluation import Evaluation, EvaluationConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors.final_info import MAX_NUMBERS, EpisodeNumbers, means_of
from training.metrics import Mean, Metrics
from training.seeding import generator


class Telling(gym.Env[Any, Any]):
    """Four steps; its reward is 1 and its cost the step. It succeeds in every second episode of an instance."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps, self.succeeds = 0, bool(self.np_random.random() < 0.5)
        return np.zeros(1, np.float32), {"cost": 1000}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        info: dict[str, Any] = {"cost": float(self.steps), "place": np.float32(self.steps), "name": "text"}
        if self.steps == 4:
            info |= {"is_success": self.succeeds, "return": 99.0, "far": math.inf, "shape": np.ones(3)}
        return np.zeros(1, np.float32), 1.0, self.steps == 4, False, info


def many(num_envs: int = 1, **kwargs: Any) -> SyncVectorEnv:
    return SyncVectorEnv([Telling] * num_envs, autoreset_mode=AutoresetMode.NEXT_STEP)


gym.register("Telling-v0", Telling, vector_entry_point=many)
ID = "tests.envs.vectors.test_final_info:Telling-v0"


def collector_of(backend: Any) -> LocalCollector:
    env = EnvConfig(ID, backend=backend)
    collector = LocalCollector(lambda index: make_group(env, 3, seed=1, index=index), 2)
    policy = ActorCritic(collector.observation_space, collector.action_space, ActorCriticConfig(), generator(1))
    collector.publish(policy, 0)
    return collector


def collected(backend: Any) -> Metrics:
    with closing(collector_of(backend)) as collector:
        return collector.collect(10)[1]


def test_sums_last_values_and_successes_are_logged_and_nothing_else() -> None:
    metrics = collected("in-process")
    rate = metrics.pop("rollout/is_success_mean")
    assert isinstance(rate, Mean)
    assert (0 < rate.value < 1, rate.weight) == (True, 12)
    assert metrics["rollout/cost_mean"] == Mean(10.0, 12)  # 1 + 2 + 3 + 4
    assert metrics["rollout/place_mean"] == Mean(4.0, 12)
    assert metrics["rollout/return_mean"] == Mean(4.0, 12)
    assert len(metrics) == 5


@pytest.mark.full
def test_worker_processes_tell_the_same() -> None:
    assert collected("subprocess") == collected("in-process")


def test_the_environments_own_vector_class_tells_the_same_numbers() -> None:
    metrics = collected("vector-entry-point")  # a reset takes a step of its own there
    assert metrics["rollout/cost_mean"] == Mean(10.0, 12)
    assert metrics["rollout/place_mean"] == Mean(4.0, 12)
    assert metrics["rollout/is_success_mean"].value <= 1


def test_a_resumed_collector_goes_on_to_the_same_sums() -> None:
    with closing(collector_of("in-process")) as collector, closing(collector_of("in-process")) as again:
        collector.collect(6)
        again.load_state_dict(deepcopy(collector.state_dict()))
        assert again.inexact == []
        assert again.collect(9)[1] == collector.collect(9)[1]


def test_an_evaluation_measures_them() -> None:
    env = EnvConfig(ID)
    with closing(make_vec(env, 1, seed=0)) as vec:
        policy = ActorCritic(vec.observation_space, vec.action_space, ActorCriticConfig(), generator(1))
    measured = Evaluation(env, EvaluationConfig(num_envs=4), seed=1).measure(policy, 30)
    assert measured["evaluation/cost_mean"] == 10
    assert 0.2 < measured["evaluation/is_success_mean"] < 0.8
    # An episode that is cut has no end of which anything is told.
    cut = Evaluation(env, EvaluationConfig(max_episode_steps=2), seed=1).measure(policy, 10)
    assert "evaluation/cost_mean" not in cut


def test_what_is_told_is_bounded_in_number_and_successes_stay() -> None:
    numbers = EpisodeNumbers()
    info = {f"a{index:02}": index for index in range(40)} | {"is_success": np.bool_(True), "x" * 49: 1.0, 7: 1.0}  # noqa: FBT003
    numbers.add(info)
    told = numbers.at_end(info)
    assert list(told) == ["is_success", *(f"a{index:02}" for index in range(MAX_NUMBERS - 1))]
    assert means_of([told, {"is_success": 0.0}, None])["is_success"] == (0.5, 2)


@pytest.mark.parametrize("value", ["1", None, [1], np.ones(1), 1j, np.complex64(1), 10**400, math.nan, {}])
def test_what_is_no_finite_number_is_left_out(value: Any) -> None:
    numbers = EpisodeNumbers()
    info = {"place": value, "reward_run": value}
    numbers.add(info)
    assert numbers.at_end(info) == {}


def test_sums_begin_anew_and_follow_names_that_come_later() -> None:
    numbers = EpisodeNumbers()
    numbers.add({"reward_run": 5.0})
    numbers.begin()
    numbers.add({"place": 1.0})
    numbers.add({"reward_run": 2, "cost": np.float32(0.5)})
    numbers.add({"reward_run": np.array(3)})
    assert numbers.at_end({"reward_run": 3}) == {"cost": 0.5, "reward_run": 5.0}
