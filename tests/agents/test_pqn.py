"""PQN: its targets by hand, its step down the errors, masks, and what it refuses."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from gymnasium import spaces

from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.pqn import PQN, PQNConfig
from agents.recipes import on_policy
from agents.updates.q_learning import EpsilonConfig
from envs.config import EnvConfig
from experiments.algorithms.pqn import Config
from tests.support.cases import OnPolicyCase
from tests.support.on_policy import FAST, Training
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig

CASES = {
    "pqn": OnPolicyCase(
        algorithm=PQN,
        config=PQNConfig(
            horizon=32, epochs=4, minibatch_size=64, gamma=0.5, epsilon=EpsilonConfig(fraction=0.5), optimizer=FAST
        ),
        env_steps=16_000,
        endless={"q_lambda": 0.95, "optimizer": replace(FAST, learning_rate=3e-2, max_grad_norm=None)},
    )
}
RESUMED = {
    "pqn": [
        *("--env.id", "CartPole-v1", "--preset", "default", "--num-envs", "4"),
        *("--agent.horizon", "16", "--agent.minibatch-size", "32"),
    ]
}
SGD = OptimizerConfig(kind="sgd", learning_rate=0.1)


def rollout(env_id: str, **changes: object) -> tuple[QNetwork, PQN, Batch]:
    case = replace(CASES["pqn"], config=replace(CASES["pqn"].config, **changes))
    training = Training(case, EnvConfig(env_id, time_limit=10), num_envs=2)
    batch, _, _ = training.rollouts.next(Counters())
    return training.policy, training.agent, batch


@pytest.mark.parametrize("q_lambda", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "tests.support.toy_envs:Masked-v0"])
def test_the_target_is_pengs_by_hand_and_the_update_a_plain_step_towards_it(env_id: str, q_lambda: float) -> None:
    """Q(lambda) backwards, step by step; masks and cuts included."""
    policy, agent, batch = rollout(
        env_id, horizon=16, epochs=1, minibatch_size=32, gamma=0.9, q_lambda=q_lambda, optimizer=SGD
    )
    if env_id == "CartPole-v1":
        t, n = batch["final_index"][0]  # one end, whatever it was, beside the cuts
        batch["terminated"][t, n], batch["truncated"][t, n] = True, False
    assert batch["truncated"].any()
    final = {(int(t), int(n)): row for row, (t, n) in enumerate(batch["final_index"])}

    def best(obs: torch.Tensor, mask: torch.Tensor | None) -> float:
        values = policy({"obs": obs[None]})[0, :, 0]
        allowed = range(len(values)) if mask is None else torch.nonzero(mask)[:, 0]
        return max(float(values.detach()[action]) for action in allowed)

    masks, final_masks = batch.get("action_mask"), batch.get("final_action_mask")
    target = torch.zeros(16, 2)
    for n in range(2):
        for t in reversed(range(16)):
            cut = (t, n) in final
            if cut:
                row = final[t, n]
                after = best(batch["final_obs"][row], None if final_masks is None else final_masks[row])
            else:
                after = best(batch["obs"][t + 1, n], None if masks is None else masks[t + 1, n])
            later = after if cut or t == 15 else (1 - q_lambda) * after + q_lambda * float(target[t + 1, n])
            target[t, n] = batch["reward"][t, n] + 0.9 * (0.0 if batch["terminated"][t, n] else later)

    expected = copy.deepcopy(policy)
    values = expected({"obs": batch["obs"][:16]}).squeeze(-1).gather(-1, batch["action"].unsqueeze(-1)).squeeze(-1)
    (0.5 * (values - target).square()).mean().backward()
    with torch.no_grad():
        for parameter in expected.parameters():
            parameter -= 0.1 * parameter.grad
    agent.update(batch, Counters())
    torch.testing.assert_close(dict(policy.named_parameters()), dict(expected.named_parameters()), rtol=1e-4, atol=1e-6)


def test_epsilon_falls_with_the_run_and_a_child_has_its_own() -> None:
    policy, agent, batch = rollout("CartPole-v1", epsilon=EpsilonConfig(1.0, 0.2, 0.5))
    assert float(policy.epsilon) == 1.0
    agent.update(batch, Counters(env_steps=4_000))  # a quarter of the budget
    assert float(policy.epsilon) == pytest.approx(0.6)
    other, child, _ = rollout("CartPole-v1", epsilon=EpsilonConfig(0.5, 0.1, 0.5))
    child.load_state_dict(copy.deepcopy(agent.state_dict()))
    assert float(other.epsilon) == pytest.approx(0.3)


def test_layers_are_normalized_before_every_activation() -> None:
    network = NetworkConfig(hidden=(16,), activation="relu", layer_norm=True, cnn="minatar")
    minatar = spaces.Box(0, 1, (10, 10, 4), bool)
    policy = QNetwork(minatar, spaces.Discrete(3), QNetworkConfig(network), torch.Generator())
    kinds = [type(module).__name__ for module in policy.modules()]
    assert kinds.count("ReLU") == kinds.count("GroupNorm") + kinds.count("LayerNorm") == 3


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (
            {"agent": PQNConfig(), "policy": on_policy.ActorCriticConfig()},
            "policy = 'ActorCriticConfig': it takes QNetworkConfig: PQNConfig learns with",
        ),
        ({"num_envs": 3}, "agent.minibatch_size = 128: it takes a divisor of the rollout"),
    ],
)
def test_a_config_that_does_not_fit_is_one_line(config: dict[str, object], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        Config(**config)


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        (QNetworkConfig(noisy_std=0.5), "policy.noisy_std = 0.5: it takes None: PQN explores by epsilon alone"),
        (QNetworkConfig(distribution="quantile", atoms=5), "policy.distribution = 'quantile': PQN takes 'mean'"),
    ],
)
def test_a_policy_that_it_does_not_learn_with_is_one_line(policy: QNetworkConfig, complaint: str) -> None:
    known = rollout("CartPole-v1")[0]
    network = QNetwork(known.observation_space, known.action_space, policy, torch.Generator())
    with pytest.raises(UserError, match=complaint):
        PQN(network, PQNConfig(), until=Budget(100), seed=1)


def test_a_q_lambda_beyond_one_is_refused() -> None:
    with pytest.raises(UserError, match=r"q_lambda = 1.5: it takes a number from 0 to 1"):
        PQNConfig(q_lambda=1.5)
