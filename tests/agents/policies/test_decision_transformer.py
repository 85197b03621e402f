"""The Decision Transformer's policy: acting step by step is what it learns on whole sequences, and it remembers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.acting.recording import record
from agents.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from agents.policies.saved import policy_of
from envs.config import EnvConfig
from envs.making import make_env
from tests.support.decision_transformers import COUNTING, make_policy
from training.core import Batch, Budget
from training.errors import UserError


@pytest.mark.parametrize(
    "env",
    [
        COUNTING,
        EnvConfig("Pendulum-v1", time_limit=9),
        EnvConfig("tests.support.learning_envs:Identity-v0", kwargs={"kind": "dict"}),
    ],
    ids=["counting", "pendulum", "dict"],
)
def test_acting_step_by_step_is_what_it_learns_on_whole_sequences(env: EnvConfig) -> None:
    """The newest three steps, with the return that is left of the one it was asked for."""
    policy = make_policy(env)
    episodes, _ = record(policy, env, 23, mode="greedy", seed=1)
    learned = replace(episodes, action=policy.learned_action(episodes.action)).samples()
    for e, (start, length) in enumerate(zip(episodes.starts, episodes.lengths, strict=True)):
        left = 7.0 - (np.cumsum(episodes.reward[start : start + length]) - episodes.reward[start : start + length])
        for t in range(length):
            begin = max(0, t - 2)
            rows = slice(start + begin, start + t + 1)
            batch: Batch = {key: value[rows].unsqueeze(0) for key, value in learned.items()}
            batch["return_to_go"] = torch.tensor(left[begin : t + 1] / 10, dtype=torch.float32).unsqueeze(0)
            batch["episode_step"] = torch.arange(begin, t + 1).unsqueeze(0)
            with torch.no_grad():
                outputs = policy.outputs(batch)[:, -1].numpy()
                log_std = {key: value.numpy() for key, value in policy.heads.log_std.items()}
                expected = policy.env_action(policy.heads.mode(policy.heads.params(outputs, None, log_std)))
            for key, value in expected.items():
                np.testing.assert_allclose(episodes.action[key][start + t], value[0], atol=1e-5, err_msg=f"{e}, {t}")


def test_it_remembers_what_the_environment_was_given() -> None:
    policy = make_policy(EnvConfig("Pendulum-v1"))
    step = {"obs": np.zeros((4, 3), np.float32), "is_first": np.ones(4, bool)}
    action, remembered = policy.acting("explore", 4)(step, {}, {"action": np.full((4, 1), 9, np.float32)})
    assert (policy.env_action(action)["action"] == 2).all()
    assert (remembered["action"][:, 0] == 1).all(), "the bound, as in the data"


def test_a_saved_policy_acts_the_same_and_its_predictions_remember() -> None:
    env = EnvConfig("Pendulum-v1")
    policy = make_policy(env)
    agent = DecisionTransformer(policy, DecisionTransformerConfig(), until=Budget(1, "epochs"))
    loaded = policy_of(agent.state_dict())
    obs, _ = make_env(env).reset(seed=1)
    assert np.array_equal(loaded.predictor()(obs), policy.predictor()(obs))
    episodes, _ = record(policy, env, 1, mode="greedy", seed=1)
    predict, reward = policy.predictor(), 0.0
    for t in range(60):
        assert np.allclose(predict(episodes.obs["obs"][t], reward=reward), episodes.action["action"][t], atol=1e-6)
        reward = episodes.reward[t]
    with pytest.raises(UserError, match="it has a memory; use predict"):
        policy.predict(obs)
    again, _ = record(loaded, env, 1, mode="greedy", seed=1)
    assert again.sha256 == episodes.sha256
    drawn, _ = record(loaded, env, 1, mode="explore", seed=1)
    assert drawn.sha256 != episodes.sha256
