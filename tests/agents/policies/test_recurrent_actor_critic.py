"""The policy with a memory: what it remembers while acting, alone and in many rows is what training computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.acting.evaluation import play
from agents.acting.rollouts import Rollouts
from agents.policies.recurrent_actor_critic import RecurrentActorCriticConfig
from agents.policies.saved import policy_of
from agents.recurrent_ppo import RecurrentPPO, RecurrentPPOConfig
from envs.config import EnvConfig
from envs.making import make_vec
from envs.single import make_env
from envs.vectors.vector import episode_seed
from tests.support.collectors import make_collector
from tests.support.recurrent import SHAPES, ByHand, make_policy
from training.core import Budget, Counters
from training.errors import UserError
from training.seeding import generator


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_what_was_remembered_while_acting_is_what_training_computes(env_id: str, shape: str, groups: int) -> None:
    """Over rollouts with ends inside: states at their begin and before every reset, log-probabilities, values."""
    env = EnvConfig(env_id, time_limit=7)
    policy = make_policy(env, shape)
    by_hand = ByHand(policy)
    rollouts = Rollouts(make_collector(env, 3, groups), policy, horizon=10)
    states = [by_hand.empty() for _ in range(3)]
    for _ in range(3):
        batch, _, _ = rollouts.next(Counters())
        assert len(batch["final_index"]) >= 3
        for name in by_hand.names:
            expected = torch.stack([state[name] for state in states])
            first = batch["is_first"][0]
            torch.testing.assert_close(batch[f"state/{name}"][~first], expected[~first])
        log_prob, value = torch.zeros(10, 3), torch.zeros(11, 3)
        before_reset: dict[tuple[int, int], dict[str, Tensor]] = {}
        for t in range(10):
            for n in range(3):
                outputs, value[t, n], states[n] = by_hand.step(batch["obs"][t, n], batch["is_first"][t, n], states[n])
                log_prob[t, n] = by_hand.distribution(outputs).log_prob(batch["action"][t, n])
                before_reset[t, n] = states[n]
        for k, (t, n) in enumerate(batch["final_index"].tolist()):
            for name in by_hand.names:
                torch.testing.assert_close(batch[f"final_state/{name}"][k], before_reset[t, n][name])
        steps = {key: rows[:10] for key, rows in batch.items() if key in ("obs", "action", "is_first")}
        state = {key: rows for key, rows in batch.items() if key.startswith("state/")}
        ours = policy.evaluate(steps | state)
        torch.testing.assert_close(ours[0], log_prob)
        torch.testing.assert_close(ours[2], value[:10])
        for name in by_hand.names:
            torch.testing.assert_close(ours[3][f"state/{name}"], torch.stack([state[name] for state in states]))


@pytest.mark.parametrize("shape", SHAPES)
def test_many_rows_act_as_few(shape: str) -> None:
    """Many are computed by torch's modules, few in NumPy."""
    policy = make_policy(EnvConfig("Pendulum-v1"), shape)
    obs, first = np.random.default_rng(1).normal(size=(4, 5, 3)).astype(np.float32), np.array([[1, 1, 1, 1, 1]] * 4)
    first[1:] = [[0, 0, 0, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]]
    times = 4000
    few, many = policy.acting("greedy", 5), policy.acting("greedy", 5 * times)
    state: Any = {}
    states: Any = {}
    for t in range(4):
        action, state = few({"obs": obs[t], "is_first": first[t].astype(bool)}, state, {})
        rows = {"obs": np.tile(obs[t], (times, 1)), "is_first": np.tile(first[t].astype(bool), times)}
        actions, states = many(rows, states, {})
        np.testing.assert_allclose(actions["action"][-5:], action["action"], rtol=1e-4, atol=1e-5)
        assert states.keys() == state.keys()
        for name, value in state.items():
            assert states[name].dtype == value.dtype == np.float32
            np.testing.assert_allclose(states[name][:5], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_evaluation_plays_each_episode_as_a_predictor_of_its_own_does(shape: str) -> None:
    """Returns of a loaded policy in three environments with resets between two episodes of each."""
    env = EnvConfig("CartPole-v1", observation_indices=(0, 2))
    trained = RecurrentPPO(make_policy(env, shape), RecurrentPPOConfig(), until=Budget(1_000), seed=1)
    policy = policy_of(trained.state_dict())
    returns, lengths = play(make_vec(env, 3, seed=7), policy, 2, mode="greedy", rng=generator(0))
    alone = []
    single = make_env(env)
    for n in range(3):
        for episode in range(2):
            predict, total, done = policy.predictor(), 0.0, False
            obs, _ = single.reset(seed=episode_seed(7, n, episode))
            while not done:
                obs, reward, terminated, truncated, _ = single.step(predict(obs))
                total, done = total + float(reward), terminated or truncated
            alone.append(total)
    assert sorted(returns.tolist()) == sorted(lengths.tolist()) == sorted(alone)
    assert len(set(alone)) > 1


def test_a_single_prediction_is_refused_and_a_predictor_remembers() -> None:
    policy = make_policy(EnvConfig("Pendulum-v1"))
    obs = np.array([0.5, -0.5, 0.1], np.float32)
    with pytest.raises(UserError, match=r"RecurrentActorCritic\.predict: it has a memory; use predict = policy\.pred"):
        policy.predict(obs)
    predict, another = policy.predictor(), policy.predictor()
    actions = [predict(obs) for _ in range(3)]
    assert not np.allclose(actions[0], actions[1])
    np.testing.assert_array_equal(another(obs), actions[0])
    torch.manual_seed(0)
    drawn = policy.predictor(greedy=False)
    assert not np.allclose(drawn(obs), actions[0])


@pytest.mark.parametrize("name", ["Masked-v0", "MaskedPair-v0"])
def test_masks_are_obeyed_with_a_memory(name: str) -> None:
    env = EnvConfig(f"tests.support.toy_envs:{name}")
    policy = make_policy(env)
    batch, _, _ = Rollouts(make_collector(env), policy, 16).next(Counters())
    assert batch["action"].ndim == (3 if name == "MaskedPair-v0" else 2)  # it raises for what is forbidden
    agent = RecurrentPPO(policy, RecurrentPPOConfig(horizon=16, minibatch_size=48), until=Budget(1_000), seed=1)
    agent.update(batch, Counters())
    single = make_env(env)
    obs, info = single.reset(seed=1)
    predict = policy.predictor()
    for _ in range(6):
        obs, _, _, _, info = single.step(predict(obs, action_mask=info["action_mask"]))


def test_impossible_shapes_are_named() -> None:
    with pytest.raises(
        UserError, match=r"memory_size = 20: it takes a multiple of 8: transformer\.heads = 4 have even"
    ):
        RecurrentActorCriticConfig(cell="transformer", memory_size=20)
    with pytest.raises(UserError, match="memory_size = 0: it takes at least 1 unit"):
        RecurrentActorCriticConfig(memory_size=0)
    with pytest.raises(UserError, match="shared_memory = True: it takes False, or shared_encoder = True"):
        RecurrentActorCriticConfig(shared_memory=True, shared_encoder=False)
