"""Q-learning: epsilon, the best action that is allowed, the loss by weights, and when the target is copied."""

from __future__ import annotations

import pytest
import torch

from agents.dqn import DQN, DQNConfig
from agents.updates.q_learning import EpsilonConfig, QLearning, best_action, require_distribution, taken
from tests.support.transitions import KINDS, make_batch, make_q, spread
from training.core import Budget, Counters
from training.errors import UserError


def test_epsilon_falls_linearly_and_stays() -> None:
    epsilon = EpsilonConfig(initial=1.0, final=0.2, fraction=0.5)
    assert [epsilon.at(spent) for spent in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert EpsilonConfig(initial=1.0, final=0.2, fraction=0.0).at(0.0) == pytest.approx(0.2)
    with pytest.raises(UserError, match="final = 2: it takes a number from 0 to 1"):
        EpsilonConfig(final=2)


def test_the_best_action_is_the_best_of_those_allowed() -> None:
    values = torch.tensor([[1.0, 3.0, 2.0], [5.0, 0.0, -1.0]])
    assert best_action(values, {}).tolist() == [[1], [0]]
    mask = torch.tensor([[True, False, True], [False, False, True]])
    assert best_action(values, {"next_action_mask": mask}).tolist() == [[2], [2]]


def test_what_is_taken_is_the_outputs_of_the_action() -> None:
    outputs = torch.arange(24.0).view(2, 3, 4)
    assert taken(outputs, torch.tensor([2, 0])).tolist() == [[8.0, 9.0, 10.0, 11.0], [12.0, 13.0, 14.0, 15.0]]


def test_errors_are_kept_and_losses_weighed_and_the_target_is_copied_when_it_is_time() -> None:
    policy = make_q()
    config = DQNConfig(target_gradient_steps=2, epsilon=EpsilonConfig(initial=0.8, final=0.0, fraction=1.0))
    learning = QLearning(policy, config, until=Budget(100), seed=1, minibatch_size=3)
    assert float(policy.epsilon) == pytest.approx(0.8)
    error, weight = torch.tensor([-1.0, 2.0, 0.5]), torch.tensor([1.0, 0.5, 0.0])
    loss = learning.loss(error.square(), error, torch.zeros(3), {"weight": weight})
    assert (float(loss.sum), loss.count) == (pytest.approx(1.0 + 2.0), 3)
    assert float(learning.loss(error.square(), error, torch.zeros(3), {}).sum) == pytest.approx(5.25)
    spread(policy)
    same = lambda: torch.equal(next(policy.parameters()), next(learning.target.parameters()))  # noqa: E731
    assert learning.stepped().tolist() == [1.0, 2.0, 0.5]
    assert not same()
    learning.stepped()
    assert same()
    measured = learning.updated({"obs": torch.zeros(3, 3)}, Counters(env_steps=50))
    assert float(policy.epsilon) == pytest.approx(0.4) == float(measured["policy/epsilon"].value)


def test_a_child_acts_by_its_own_epsilon_and_a_resumed_run_by_the_one_it_had() -> None:
    def make(final: float, env_steps: int) -> DQN:
        config = DQNConfig(epsilon=EpsilonConfig(initial=0.8, final=final, fraction=1.0))
        return DQN(make_q(), config, until=Budget(env_steps), seed=1, minibatch_size=3)

    parent = make(0.0, 100)
    parent.update(make_batch(discrete=True), Counters(env_steps=50))
    resumed, child, longer = make(0.0, 100), make(0.4, 100), make(0.0, 200)
    for agent in (resumed, child, longer):
        agent.load_state_dict(parent.state_dict())
    assert torch.equal(resumed.policy.epsilon, parent.policy.epsilon)
    assert [float(agent.policy.epsilon) for agent in (child, longer)] == pytest.approx([0.6, 0.6])


def test_a_policy_of_another_distribution_is_refused() -> None:
    require_distribution(make_q(KINDS["quantile"]), "quantile", "QR-DQN")
    with pytest.raises(UserError, match=r"policy\.distribution = 'mean': QR-DQN takes 'quantile'"):
        require_distribution(make_q(), "quantile", "QR-DQN")
