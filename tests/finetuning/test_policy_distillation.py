"""Policy distillation: the divergence by hand, that a student comes to say what its teacher says, and what it takes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from finetuning.policy_distillation import PolicyDistillation, PolicyDistillationConfig, divergence, said
from training.core import Budget, Counters
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.seeding import generator

RESUMED = {  # two stages: a teacher, and a student of what it says
    "policy_distillation": [
        *("--agent.epochs", "2", "--episodes", "5", "--student.epochs", "12", "--student.threads", "1"),
        *("--student.agent.minibatch-size", "48"),
    ],
}

OBS = spaces.Box(-1, 1, (3,), np.float32)
ACTIONS = {"discrete": spaces.Discrete(4), "continuous": spaces.Box(-2, 2, (2,), np.float32)}


def make(action: spaces.Space[object], seed: int, hidden: tuple[int, ...] = (8,)) -> ActorCritic:
    policy = ActorCritic(OBS, action, ActorCriticConfig(network=NetworkConfig(hidden=hidden)), generator(seed))
    with torch.no_grad():
        policy.actor[-1].weight.mul_(200)  # the first policy of any seed would be nearly uniform
    return policy


def test_the_divergence_by_hand() -> None:
    student, teacher = torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[math.log(2.0), 0.0]])
    p, q = (2 / 3, 1 / 3), (1 / 4, 3 / 4)
    expected = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert float(divergence(student, teacher, 1.0).sum) == pytest.approx(expected)
    p = (4 / 5, 1 / 5)  # at half the temperature the odds are squared
    expected = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert float(divergence(student, teacher, 0.5).sum) == pytest.approx(expected)
    assert float(divergence(teacher, teacher, 1.0).sum) == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("kind", ACTIONS)
def test_a_student_comes_to_say_what_its_teacher_says(kind: str) -> None:
    teacher, student = make(ACTIONS[kind], 1), make(ACTIONS[kind], 2, (16,))
    config = PolicyDistillationConfig(optimizer=OptimizerConfig(learning_rate=1e-2))
    learner = PolicyDistillation(student, teacher, config, until=Budget(1, "updates"))
    critic = [weight.clone() for weight in student.critic.parameters()]
    taught = [weight.clone() for weight in teacher.parameters()]
    obs = {"obs": torch.rand(256, 3, generator=generator(3)) * 2 - 1}

    def distance() -> float:
        with torch.no_grad():
            outputs = [said(policy, obs) for policy in (student, teacher)]
        if kind == "discrete":
            outputs = [values.softmax(-1) for values in outputs]
        return float((outputs[0] - outputs[1]).square().mean())

    before = distance()
    for _ in range(300):
        learner.update(obs, Counters())
    assert distance() < before / 50
    assert all(torch.equal(old, new) for old, new in zip(critic, student.critic.parameters(), strict=True))
    assert all(torch.equal(old, new) for old, new in zip(taught, teacher.parameters(), strict=True))


def test_what_cannot_be_taught_is_told() -> None:
    config, until = PolicyDistillationConfig(), Budget(1, "updates")
    with pytest.raises(UserError, match=r"the teacher's actions are Discrete\(5\), the student's Discrete\(4\)"):
        PolicyDistillation(make(spaces.Discrete(4), 1), make(spaces.Discrete(5), 1), config, until=until)
    several = spaces.MultiDiscrete([2, 3])
    with pytest.raises(UserError, match="policy distillation takes Discrete or Box actions"):
        PolicyDistillation(make(several, 1), make(several, 2), config, until=until)
    with pytest.raises(UserError, match="temperature = 0: it takes a number above 0"):
        PolicyDistillationConfig(temperature=0)
