"""Watched episodes are those of evaluations' seeds, and thoughts are what the policy acts by."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
import pytest

from agents.acting.evaluation import play
from agents.acting.watching import Moment, thoughts_of, watch
from agents.libraries.sb3 import SB3Policy, SB3PolicyConfig
from agents.policies.actor import Actor, ActorConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.policies.recurrent_actor_critic import RecurrentActorCritic, RecurrentActorCriticConfig
from envs.config import EnvConfig
from envs.making import make_vec
from envs.single import make_env
from envs.vectors.vector import EnvFault
from training.seeding import generator

CARTPOLE, PENDULUM = EnvConfig("CartPole-v1"), EnvConfig("Pendulum-v1")


def make(kind: Any, config: Any, env: EnvConfig) -> Any:
    with closing(make_env(env)) as made:
        return kind(made.observation_space, made.action_space, config, generator(1))


def watched(env: EnvConfig, policy: Any, *, episode: int = 0, max_steps: int = 1_000) -> list[Moment]:
    how: dict[str, Any] = {"seed": 3, "episode": episode, "greedy": True, "max_steps": max_steps, "thinking": True}
    with closing(make_env(env)) as made:
        first, *moments = watch(env, made, policy, **how)
    assert first is None
    return [moment for moment in moments if moment is not None]


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (ActorCritic, ActorCriticConfig()),
        (RecurrentActorCritic, RecurrentActorCriticConfig()),
        (QNetwork, QNetworkConfig()),
        (Actor, ActorConfig()),
    ],
)
def test_what_a_policy_thinks_is_what_it_does(kind: Any, config: Any) -> None:
    policy = make(kind, config, CARTPOLE)
    moments = watched(CARTPOLE, policy)
    for moment in moments:
        best = moment.thoughts.get("action_values", moment.thoughts.get("probabilities"))
        assert moment.action == np.argmax(best)
    assert [moment.length for moment in moments] == list(range(1, len(moments) + 1))
    assert [moment.ended for moment in moments] == [False] * (len(moments) - 1) + [True]
    returns, lengths = play(make_vec(CARTPOLE, 1, seed=3), policy, 2, mode="greedy", rng=generator(0))
    assert (moments[-1].total_reward, moments[-1].length) == (returns[0], lengths[0])
    assert watched(CARTPOLE, policy, episode=1)[-1].length == lengths[1]
    if kind in (ActorCritic, RecurrentActorCritic):
        assert isinstance(moments[0].thoughts["value"], float)


def test_continuous_actions_have_a_mean_and_a_deviation() -> None:
    (moment,) = watched(PENDULUM, make(ActorCritic, ActorCriticConfig(), PENDULUM), max_steps=1)
    assert not moment.ended
    assert moment.thoughts["deviation"].tolist() == [1.0]
    assert moment.action == pytest.approx(2 * moment.thoughts["mean"], rel=1e-5)  # in [-2, 2], learned in [-1, 1]
    (moment,) = watched(PENDULUM, make(Actor, ActorConfig(), PENDULUM), max_steps=1)
    assert moment.action == pytest.approx(2 * moment.thoughts["mean"], rel=1e-5)
    assert moment.thoughts.keys() == {"mean", "deviation"}


def test_what_a_mask_forbids_has_no_chance() -> None:
    masked = EnvConfig("tests.support.toy_envs:Masked-v0")
    moments = watched(masked, make(ActorCritic, ActorCriticConfig(), masked))
    assert [np.count_nonzero(moment.thoughts["probabilities"]) for moment in moments] == [3] * 6


def test_nested_observations_are_watched_too() -> None:
    nested = EnvConfig("tests.support.toy_envs:Faulty-v0")
    moments = watched(nested, make(ActorCritic, ActorCriticConfig(), nested), max_steps=2)
    assert [moment.obs["b"] for moment in moments] == [1, 1]
    assert moments[0].thoughts.keys() == {"probabilities", "value"}


@pytest.mark.parametrize(
    ("algorithm", "env", "thoughts"),
    [
        ("PPO", CARTPOLE, {"probabilities", "value"}),
        ("PPO", PENDULUM, {"mean", "deviation", "value"}),
        ("DQN", CARTPOLE, {"action_values"}),
        ("SAC", PENDULUM, set()),
    ],
)
def test_policies_of_stable_baselines3_think_what_they_act_by(
    algorithm: str, env: EnvConfig, thoughts: set[str]
) -> None:
    (moment,) = watched(env, make(SB3Policy, SB3PolicyConfig(algorithm), env), max_steps=1)
    assert moment.thoughts.keys() == thoughts
    best = moment.thoughts.get("action_values", moment.thoughts.get("probabilities"))
    assert best is None or moment.action == np.argmax(best)


def test_a_policy_that_is_not_known_here_thinks_nothing_and_a_fault_is_named() -> None:
    class Other:
        device = "cpu"

    assert thoughts_of(Other(), {"obs": np.zeros((1, 2), np.float32)}, {}) == {}  # type: ignore[arg-type]
    faulty = EnvConfig("tests.support.toy_envs:Faulty-v0", kwargs={"how": "returns", "value": 3})
    with pytest.raises(EnvFault, match="episode 0, at its reset: its reset returned 3"):
        watched(faulty, make(ActorCritic, ActorCriticConfig(), faulty))
