"""The suites that every off-policy agent passes: identity, exact values, truncation, exact continuation, bad input."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from agents.acting.collector import Group, LocalCollector
from agents.acting.evaluation import play
from agents.c51 import C51, C51Config
from agents.ddpg import DDPG, DDPGConfig
from agents.dqn import DQN, DQNConfig
from agents.policies.actor import Actor, ActorConfig
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.policies.saved import policy_of
from agents.qr_dqn import QRDQN, QRDQNConfig
from agents.recipes.off_policy import OffPolicyConfig
from agents.replay.replay import Replay, ReplayConfig
from agents.sac import SAC, SACConfig
from agents.sac_discrete import SACDiscrete, SACDiscreteConfig
from agents.td3 import TD3, TD3Config
from agents.tqc import TQC, TQCConfig
from agents.updates.q_learning import EpsilonConfig
from envs.config import EnvConfig
from envs.making import make_vec
from tests.support.learning_envs import TabularEnv
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.metrics import Metrics
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.optimizer.config import with_compile
from training.optimizer.optimizer import check_coverage
from training.seeding import generator

NETWORK = NetworkConfig(hidden=(32,), activation="relu", cnn="small")
FAST = OptimizerConfig(learning_rate=5e-3, schedule=Schedule("linear"))
EPSILON = EpsilonConfig(final=0.1, fraction=0.5)
Q = QNetworkConfig(network=NETWORK)
ACTOR = ActorConfig(network=NETWORK)
DETERMINISTIC = replace(ACTOR, distribution="deterministic")
CATEGORICAL = replace(Q, distribution="categorical", atoms=51, value_range=(-10.0, 20.0))
VALUE: dict[str, Any] = {"gamma": 0.5, "target_gradient_steps": 20, "epsilon": EPSILON, "optimizer": FAST}
BOTH: dict[str, Any] = {"gamma": 0.5, "actor_optimizer": FAST, "critic_optimizer": FAST, "critic_network": NETWORK}
REPLAY = ReplayConfig(capacity=5_000, warmup_env_steps=200, horizon=4, gradient_steps=4, minibatch_size=64)
RAINBOW = replace(REPLAY, n_step=3, priority_exponent=0.5)

AGENTS: dict[str, tuple[Any, Any, Any, ReplayConfig]] = {  # class, config, policy, replay
    "dqn": (DQN, DQNConfig(**VALUE), Q, REPLAY),
    "dqn-all": (DQN, DQNConfig(double=True, **VALUE), replace(Q, dueling=True, noisy_std=0.5), RAINBOW),
    "c51": (C51, C51Config(**VALUE), CATEGORICAL, REPLAY),
    "rainbow": (C51, C51Config(double=True, **VALUE), replace(CATEGORICAL, dueling=True, noisy_std=0.5), RAINBOW),
    "qr_dqn": (QRDQN, QRDQNConfig(**VALUE), replace(Q, distribution="quantile", atoms=11), REPLAY),
    "sac_discrete": (SACDiscrete, SACDiscreteConfig(tau=0.05, target_entropy_fraction=0.1, **BOTH), ACTOR, REPLAY),
    "ddpg": (DDPG, DDPGConfig(tau=0.05, **BOTH), replace(DETERMINISTIC, noise_kind="ornstein_uhlenbeck"), REPLAY),
    "td3": (TD3, TD3Config(tau=0.05, **BOTH), DETERMINISTIC, REPLAY),
    "sac": (SAC, SACConfig(tau=0.05, **BOTH), ACTOR, REPLAY),
    "sac-state-dependent": (SAC, SACConfig(tau=0.05, **BOTH), replace(ACTOR, distribution="state_dependent"), REPLAY),
    "tqc": (TQC, TQCConfig(tau=0.05, critics=2, quantiles=9, **BOTH), ACTOR, REPLAY),
}
CONTINUOUS = ("ddpg", "td3", "sac", "sac-state-dependent", "tqc")
DISCRETE = tuple(name for name in AGENTS if name not in CONTINUOUS)


class Training:
    """A run without folder: the same loop as `fit`, step by step."""

    def __init__(
        self,
        name: str,
        env: EnvConfig,
        *,
        num_envs: int = 4,
        env_steps: int = 6_000,
        compiled: bool = False,
        device: str = "cpu",
        **changes: Any,
    ) -> None:
        algorithm, config, policy, replay = AGENTS[name]
        config = with_compile(replace(config, **changes), compiled)
        self.until = Budget(env_steps)
        self.collector = LocalCollector(lambda index: Group(make_vec(env, num_envs, seed=3), seed=1, index=index))
        spaces = self.collector.observation_space, self.collector.action_space
        kind = QNetwork if isinstance(policy, QNetworkConfig) else Actor
        self.policy = kind(*spaces, policy, generator(1, "weights")).to(device)
        self.agent = algorithm(self.policy, config, until=self.until, seed=1, minibatch_size=replay.minibatch_size)
        self.replay = Replay(self.collector, self.policy, replay, gamma=config.gamma, until=self.until, seed=1)
        self.now = Counters()

    def update(self) -> Metrics:
        batch, after, _ = self.replay.next(self.now)
        metrics, feedback = self.agent.update(batch, self.now)
        self.replay.learned(feedback)
        self.now = after.advance(updates=1)
        return metrics

    def run(self) -> Metrics:
        metrics: Metrics = {}
        while not self.until.reached(self.now):
            metrics = self.update()
        return metrics


def env_for(name: str, kind: str) -> EnvConfig:
    return (
        EnvConfig("Pendulum-v1" if name in CONTINUOUS else "CartPole-v1")
        if kind == "gym"
        else EnvConfig(
            "tests.support.learning_envs:Identity-v0", kwargs={"kind": "box" if name in CONTINUOUS else "discrete"}
        )
    )


@pytest.mark.parametrize("name", AGENTS)
def test_it_learns_to_repeat_what_it_sees(name: str) -> None:
    env = env_for(name, "identity")
    training = Training(name, env)
    training.run()
    policy = policy_of(copy.deepcopy(training.agent.state_dict()))
    returns, _ = play(make_vec(env, 10, seed=99), policy, 2, mode="greedy", rng=generator(0))
    assert returns.mean() >= (-0.5 if name in CONTINUOUS else 9.5)


@pytest.mark.parametrize("name", AGENTS)
def test_a_truncated_episode_is_worth_what_it_would_have_become(name: str) -> None:
    """Reward 1 for ever, cut after 5 steps: worth 10 at gamma 0.9; less than 4 to who takes the cut for an end."""
    kwargs = {"continuous": True} if name in CONTINUOUS else {}
    env = EnvConfig("tests.support.learning_envs:Endless-v0", kwargs=kwargs, time_limit=5)
    changes: dict[str, Any] = {"gamma": 0.9}
    if "sac" in name or name == "tqc":  # whose values count entropy too
        own = {"target_entropy_fraction": 0.0} if name == "sac_discrete" else {"target_entropy": -50.0}
        changes |= {"initial_temperature": 1e-4, **own}
    if name == "td3":
        changes |= {"tau": 0.1}  # its targets move every second time only
    metrics = Training(name, env, env_steps=4_000, **changes).run()
    assert float(metrics["value/mean"].value) == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("time_limit", [None, 2])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.full if AGENTS[name][3] is RAINBOW else ()) for name in DISCRETE]
)
def test_its_values_approach_the_exact_ones(name: str, time_limit: int | None) -> None:
    env = EnvConfig("tests.support.learning_envs:Tabular-v0", time_limit=time_limit)
    changes: dict[str, Any] = {"gamma": 0.8}
    if name == "sac_discrete":
        changes |= {"initial_temperature": 1e-3, "target_entropy_fraction": 0.0, "critic_optimizer": FAST}
    else:
        changes |= {"epsilon": EpsilonConfig(final=0.3, fraction=0.1)}
    training = Training(name, env, env_steps=8_000, **changes)
    training.run()
    batch: Batch = {"obs": torch.arange(3)}
    with torch.no_grad():
        if name == "sac_discrete":
            values = training.agent.critics(batch).amin(0)
        else:
            values = training.policy.values(training.policy(batch))
    exact = TabularEnv.solve(0.8)
    # Returns of several steps mix in what the exploring policy did.
    np.testing.assert_allclose(values.numpy(), exact, atol=0.16 if AGENTS[name][3].n_step > 1 else 0.06)
    assert values.argmax(-1).tolist() == exact.argmax(-1).tolist()


@pytest.mark.parametrize("name", AGENTS)
def test_a_loaded_state_continues_to_the_bit(name: str) -> None:
    env = env_for(name, "gym")
    first, second = (Training(name, env, env_steps=2_000) for _ in range(2))
    for _ in range(3):
        first.update()
    saved = copy.deepcopy({"agent": first.agent.state_dict(), "replay": first.replay.state_dict()})
    second.update()  # a state that the loaded one must replace
    second.agent.load_state_dict(saved["agent"])
    second.replay.load_state_dict(saved["replay"])
    second.now = first.now
    for _ in range(3):
        first.update()
        second.update()
    assert_same(first.agent.state_dict(), second.agent.state_dict())
    assert second.replay.inexact == []


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


@pytest.mark.parametrize("name", ["dqn", "sac"])
def test_training_is_the_same_on_every_backend(name: str) -> None:
    weights = []
    for backend in ("batched", "in-process", "subprocess"):
        training = Training(name, replace(env_for(name, "gym"), backend=backend))
        for _ in range(2):
            training.update()
        training.collector.close()
        weights.append(torch.cat([parameter.flatten() for parameter in training.policy.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


@pytest.mark.full
@pytest.mark.parametrize("name", AGENTS)
def test_compiled_it_learns_the_same(name: str) -> None:
    plain, compiled = (Training(name, env_for(name, "gym"), compiled=compiled) for compiled in (False, True))
    for _ in range(3):
        measured, other = plain.update(), compiled.update()
        assert measured.keys() == other.keys()
        for key, metric in measured.items():
            torch.testing.assert_close(float(other[key].value), float(metric.value), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", AGENTS)
def test_each_of_its_parameters_is_trained_and_only_by_its_own_loss(name: str) -> None:
    training = Training(name, env_for(name, "gym"))
    agent = training.agent
    modules = {"policy": training.policy} | ({"critics": agent.critics} if hasattr(agent, "critics") else {})
    learning = getattr(agent, "_learning", agent)
    optimizers = [value for key, value in vars(learning).items() if key.endswith("optimizer")]
    before = {
        key: {part: value.clone() for part, value in module.named_parameters()} for key, module in modules.items()
    }
    for key in before:
        check_coverage(modules[key], optimizers)
    training.update()
    for key, weights in before.items():
        for part, value in modules[key].named_parameters():
            assert not torch.equal(value, weights[part]), f"{key}.{part}"


@pytest.mark.parametrize("name", CONTINUOUS)
def test_discrete_actions_given_to_a_continuous_algorithm_are_one_line(name: str) -> None:
    with pytest.raises(UserError, match=r"action space Discrete\(2\): .* takes a bounded Box of floats"):
        Training(name, EnvConfig("CartPole-v1"))


@pytest.mark.parametrize("name", DISCRETE)
def test_continuous_actions_given_to_a_discrete_algorithm_are_one_line(name: str) -> None:
    with pytest.raises(UserError, match=r"action space Box.* a Discrete one"):
        Training(name, EnvConfig("Pendulum-v1"))


def test_priorities_are_for_those_that_feed_errors_back() -> None:
    replay = ReplayConfig(priority_exponent=0.5)
    with pytest.raises(UserError, match=r"replay\.priority_exponent = 0.5: it takes 0: SACConfig draws all"):
        OffPolicyConfig(agent=SACConfig(), policy=ACTOR, replay=replay, env=EnvConfig("Pendulum-v1"))
    OffPolicyConfig(agent=DQNConfig(), policy=Q, replay=replay, env=EnvConfig("CartPole-v1"))
    with pytest.raises(UserError, match=r"optimizer\.micro_batches = 2: it takes 1"):
        DQNConfig(optimizer=OptimizerConfig(micro_batches=2))


def test_pictures_are_seen_by_actor_and_critics_with_their_own_eyes() -> None:
    """Averages of the critics' weights are theirs: the saved policy keeps its own encoder."""
    env = EnvConfig("tests.support.learning_envs:Seen-v0")
    training = Training("sac", env, critic_optimizer=replace(FAST, ema_decay=0.5))
    training.update()
    assert training.collector.observation_space.dtype == np.uint8  # type: ignore[attr-defined]
    saved = policy_of(copy.deepcopy(training.agent.state_dict()))
    for key, value in training.policy.state_dict().items():
        assert torch.equal(saved.state_dict()[key], value), key
    buffer = training.replay.state_dict()["buffer"]["segments"][0]
    assert buffer["obs"].dtype == np.uint8


def test_an_algorithm_takes_the_policy_that_it_is_made_for() -> None:
    for name, other, message in (
        ("dqn", "c51", "policy.distribution = 'categorical': DQN takes 'mean'"),
        ("c51", "dqn", "policy.distribution = 'mean': C51 takes 'categorical'"),
        ("qr_dqn", "dqn", "policy.distribution = 'mean': QR-DQN takes 'quantile'"),
    ):
        policy = Training(other, EnvConfig("CartPole-v1")).policy
        with pytest.raises(UserError, match=message):
            AGENTS[name][0](policy, AGENTS[name][1], until=Budget(1), seed=1, minibatch_size=8)
    for name, other in (("sac", "td3"), ("td3", "sac"), ("ddpg", "sac"), ("tqc", "td3")):
        policy = Training(other, EnvConfig("Pendulum-v1")).policy
        with pytest.raises(UserError, match=r"policy\.distribution = .*: it takes '"):
            AGENTS[name][0](policy, AGENTS[name][1], until=Budget(1), seed=1, minibatch_size=8)
