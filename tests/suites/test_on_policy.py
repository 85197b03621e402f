"""The suites that every on-policy agent passes: identity, alignment by counting, truncation, exact continuation."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from agents.a2c import A2C, A2CConfig
from agents.acting.collector import Group, LocalCollector
from agents.acting.evaluation import Evaluation, EvaluationConfig, play
from agents.acting.rollouts import Rollouts
from agents.appo import APPO, APPOConfig
from agents.impala import IMPALA, IMPALAConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.recurrent_actor_critic import RecurrentActorCritic, RecurrentActorCriticConfig
from agents.policies.saved import policy_of
from agents.ppo import PPO, PPOConfig
from agents.recurrent_ppo import RecurrentPPO, RecurrentPPOConfig
from agents.reinforce import Reinforce, ReinforceConfig
from agents.rnd import RND, RNDConfig
from agents.updates.rollout_samples import continues, discount, to_samples, values
from envs.config import EnvConfig
from envs.making import make_vec
from tests.suites.test_off_policy import AGENTS as OFF_POLICY
from tests.support import ROOT
from training.core import Budget, Counters
from training.errors import UserError
from training.metrics import Metrics
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.optimizer.config import with_compile
from training.seeding import generator

LINEAR = Schedule("linear")
SMALL = ActorCriticConfig(network=NetworkConfig(hidden=(32,)))

PPO_SMALL = PPOConfig(
    horizon=32,
    minibatch_size=64,
    epochs=6,
    gamma=0.5,
    optimizer=OptimizerConfig(learning_rate=1e-2, schedule=LINEAR, max_grad_norm=0.5),
)
A2C_SMALL = A2CConfig(
    horizon=5,
    gamma=0.5,
    entropy_coefficient=0.0,
    optimizer=OptimizerConfig(kind="rmsprop", learning_rate=1e-2, schedule=LINEAR, eps=1e-5, max_grad_norm=0.5),
)
IMPALA_SMALL = IMPALAConfig(horizon=5, gamma=0.5, entropy_coefficient=0.0, optimizer=A2C_SMALL.optimizer)
APPO_SMALL = APPOConfig(
    horizon=32, minibatch_size=64, epochs=6, gamma=0.5, clip_range=0.2, optimizer=PPO_SMALL.optimizer
)
RECURRENT_PPO_SMALL = RecurrentPPOConfig(
    horizon=32,
    sequence_length=8,
    minibatch_size=64,
    epochs=6,
    gamma=0.5,
    optimizer=OptimizerConfig(learning_rate=1e-2, schedule=LINEAR, max_grad_norm=0.5),
)
REINFORCE_SMALL = ReinforceConfig(
    horizon=20,
    gamma=0.5,
    policy_optimizer=OptimizerConfig(learning_rate=2e-2, schedule=LINEAR, max_grad_norm=0.5),
    baseline_optimizer=OptimizerConfig(learning_rate=1e-2),
)
RND_SMALL = RNDConfig(
    horizon=32,
    minibatch_size=64,
    epochs=6,
    gamma=0.5,
    warmup_env_steps=0,
    embedding_size=16,
    target_network=NetworkConfig(hidden=(16,)),
    predictor_network=NetworkConfig(hidden=(16, 16)),
    optimizer=OptimizerConfig(learning_rate=1e-2, schedule=LINEAR, max_grad_norm=0.5),
)

OFFLINE = {"bc", "cql", "decision_transformer", "iql", "td3_bc"}
"""They learn from datasets: test_offline.py, test_offline_actor_critic.py and test_decision_transformer.py."""
AGENTS: dict[str, tuple[Any, Any, int]] = {  # class, config, env steps until it has learned the identity
    "ppo": (PPO, PPO_SMALL, 8_192),
    "a2c": (A2C, A2C_SMALL, 16_000),
    "impala": (IMPALA, IMPALA_SMALL, 16_000),
    "appo": (APPO, APPO_SMALL, 8_192),
    "recurrent_ppo": (RecurrentPPO, RECURRENT_PPO_SMALL, 8_192),
    "reinforce": (Reinforce, REINFORCE_SMALL, 20_000),
    "rnd": (RND, RND_SMALL, 16_384),
}


def make_collector(env: EnvConfig, num_envs: int, groups: int = 1) -> LocalCollector:
    size = num_envs // groups
    return LocalCollector(
        lambda index: Group(make_vec(env, size, seed=3, first_env=index * size), seed=1, index=index), groups
    )


def make_policy(algorithm: Any, collector: LocalCollector, config: ActorCriticConfig) -> Any:
    """The policy that the algorithm learns with; a memory is added to the config where it takes one."""
    spaces, rng = (collector.observation_space, collector.action_space), generator(1, "weights")
    if algorithm is RecurrentPPO:
        return RecurrentActorCritic(*spaces, RecurrentActorCriticConfig(**vars(config), memory_size=16), rng)
    return ActorCritic(*spaces, config, rng)


def value_of_ones(policy: Any) -> float:
    """The value of an observation of 1; with a memory, of the twentieth in a row."""
    if not policy.has_memory:
        return float(policy.value({"obs": torch.ones(1, 1)}).detach())
    batch = {"obs": torch.ones(20, 1, 1), "is_first": torch.zeros(20, 1, dtype=torch.bool)}
    batch["is_first"][0] = True
    batch |= {f"state/{name}": torch.zeros(1, 2, 16) for name in ("actor", "critic")}
    return float(policy.value(batch).detach()[-1])


class Training:
    """A run without folder: the same loop as `fit`, step by step."""

    def __init__(
        self,
        name: str,
        env: EnvConfig,
        policy: ActorCriticConfig = SMALL,
        *,
        num_envs: int = 8,
        compiled: bool = False,
        device: str = "cpu",
        **changes: Any,
    ) -> None:
        algorithm, config, env_steps = AGENTS[name]
        config = with_compile(replace(config, **changes), compiled)
        self.until = Budget(env_steps)
        collector = make_collector(env, num_envs)
        self.policy = make_policy(algorithm, collector, policy).to(device)
        self.agent = algorithm(self.policy, config, until=self.until, seed=1)
        self.rollouts = Rollouts(collector, self.policy, config.horizon)
        self.now = Counters()

    def update(self) -> Metrics:
        batch, after, _ = self.rollouts.next(self.now)
        metrics, _ = self.agent.update(batch, self.now)
        self.now = after.advance(updates=1)
        return metrics

    def run(self) -> None:
        while not self.until.reached(self.now):
            self.update()


def test_every_algorithm_is_in_these_suites() -> None:
    folder = ROOT / "agents"
    signature = r"^    def update\(self, batch: Batch, now: Counters\)"
    algorithms = {path.stem for path in folder.glob("*.py") if re.search(signature, path.read_text(), re.M)}
    elsewhere = {"bandits"}  # they see nothing
    assert algorithms <= set(AGENTS) | set(OFF_POLICY) | OFFLINE | elsewhere


@pytest.mark.parametrize(
    ("name", "kind", "at_least"),
    [
        *[(name, "discrete", 9.5) for name in AGENTS],
        *[(name, "box", -0.5) for name in AGENTS],
        ("ppo", "multi_discrete", 9.5),
        ("ppo", "multi_binary", 9.5),
        ("ppo", "dict", 9.0),
    ],
)
def test_it_learns_to_repeat_what_it_sees(name: str, kind: str, at_least: float) -> None:
    env = EnvConfig("tests.support.learning_envs:Identity-v0", kwargs={"kind": kind})
    training = Training(name, env)
    training.run()
    returns, _ = play(make_vec(env, 10, seed=99), training.policy, 2, mode="greedy", rng=generator(0))
    assert returns.mean() >= at_least


@pytest.mark.parametrize("name", AGENTS)
def test_a_truncated_episode_is_worth_what_it_would_have_become(name: str) -> None:
    """Reward 1 for ever, cut after 100 steps: worth 100 at gamma 0.99; 37 to who takes the cut for an end."""
    fast = OptimizerConfig(learning_rate=0.1, schedule=LINEAR)
    changes = {"baseline_optimizer": fast, "horizon": 32} if name == "reinforce" else {"optimizer": fast}
    training = Training(name, EnvConfig("tests.support.learning_envs:Endless-v0"), gamma=0.99, **changes)
    training.run()
    assert value_of_ones(training.policy) == pytest.approx(100, rel=0.1)


def test_values_across_a_cut_come_from_the_final_observation() -> None:
    collector = make_collector(EnvConfig("tests.support.learning_envs:CountingEpisodes-v0"), 2)
    policy = ActorCritic(collector.observation_space, collector.action_space, SMALL, generator(1))
    batch, _, _ = Rollouts(collector, policy, 12).next(Counters())
    value, next_value = values(policy, batch)
    counted = batch["obs"][:-1].clone()
    counted[..., 0] += 1  # what follows each step if nothing resets
    torch.testing.assert_close(next_value, policy.value({"obs": counted}).detach())
    torch.testing.assert_close(value, policy.value({"obs": batch["obs"][:-1]}).detach())
    ended = batch["terminated"] | batch["truncated"]
    assert torch.equal(continues(batch), (~ended).float())
    assert torch.equal(discount(batch, 0.9), torch.where(batch["terminated"], 0.0, 0.9))


@pytest.mark.parametrize("name", AGENTS)
def test_the_normalizer_takes_each_observation_acted_on_once_and_after_the_update(name: str) -> None:
    env = EnvConfig("CartPole-v1")
    normalized = Training(name, env, replace(SMALL, normalize_observation=True), num_envs=4)
    plain = Training(name, env, SMALL, num_envs=4)
    batch, _, _ = normalized.rollouts.next(Counters())
    for training in (normalized, plain):
        training.agent.update(batch, Counters())
    horizon = AGENTS[name][1].horizon
    seen = batch["obs"][:horizon].double().flatten(0, 1)
    normalizer = normalized.policy.normalizers["obs"]
    assert normalizer.count == horizon * 4 == len(seen)
    torch.testing.assert_close(normalizer.mean, seen.mean(0))
    torch.testing.assert_close(normalizer.variance, seen.var(0, correction=0))
    learned = dict(normalized.policy.named_parameters())
    for key, value in plain.policy.named_parameters():
        assert torch.equal(value, learned[key]), "the first update knows no statistics"


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_a_loaded_state_continues_to_the_bit(name: str, env_id: str) -> None:
    policy = ActorCriticConfig(network=NetworkConfig(hidden=(16,)), normalize_observation=True)
    first = Training(name, EnvConfig(env_id), policy, num_envs=4)
    for _ in range(3):
        first.update()
    saved = _copied({"agent": first.agent.state_dict(), "rollouts": first.rollouts.state_dict()})
    second = Training(name, EnvConfig(env_id), policy, num_envs=4)
    second.update()  # a state that the loaded one must replace
    second.agent.load_state_dict(saved["agent"])
    second.rollouts.load_state_dict(saved["rollouts"])
    second.now = first.now
    for _ in range(3):
        first.update()
        second.update()
    for key, weight in first.policy.state_dict().items():
        assert torch.equal(weight, second.policy.state_dict()[key]), key
    assert second.rollouts.inexact == []


@pytest.mark.parametrize("backend", ["in-process", "subprocess"])
def test_training_is_the_same_on_every_backend(backend: Any) -> None:
    weights = []
    for other in ("batched", backend):
        training = Training("ppo", EnvConfig("CartPole-v1", backend=other), num_envs=4)
        for _ in range(2):
            training.update()
        weights.append(torch.cat([parameter.flatten() for parameter in training.policy.parameters()]))
    assert torch.equal(weights[0], weights[1])


def test_an_action_mask_is_obeyed_and_learned_with() -> None:
    training = Training("ppo", EnvConfig("tests.support.toy_envs:Masked-v0"))
    batch, _, _ = training.rollouts.next(Counters())
    allowed = batch["action_mask"][:-1].gather(-1, batch["action"].unsqueeze(-1))
    assert allowed.all()
    training.agent.update(batch, Counters())


def test_a_policy_can_be_built_from_what_it_saves() -> None:
    import gymnasium as gym

    training = Training("ppo", EnvConfig("Pendulum-v1"), ActorCriticConfig(normalize_observation=True))
    training.update()
    built = policy_of(_copied(training.agent.state_dict()))
    env = gym.make("Pendulum-v1")
    obs, _ = env.reset(seed=5)
    action = built.predict(obs)
    assert env.action_space.contains(action)
    np.testing.assert_array_equal(action, training.policy.predict(obs))
    built.update_normalizers({"obs": torch.full((1, 3), 100.0)})
    assert not np.array_equal(built.predict(obs), action), "the normalization is inside"


def test_evaluation_moves_no_part_of_the_training() -> None:
    env = EnvConfig("Pendulum-v1")
    weights = []
    for evaluates in (True, False):
        training = Training("ppo", env, ActorCriticConfig(normalize_observation=True), num_envs=4)
        evaluate = Evaluation(env, EvaluationConfig(episodes=4, num_envs=4, greedy=False), seed=1)
        scores = []
        for _ in range(3):
            training.update()
            scores += [evaluate(training.agent), evaluate(training.agent)] if evaluates else []
        assert scores[0::2] == scores[1::2], "the same agent has the same score"
        assert not evaluates or scores[0] != scores[2]
        weights.append(torch.cat([parameter.flatten() for parameter in training.policy.parameters()]))
    assert torch.equal(weights[0], weights[1])


def test_averaged_weights_are_those_that_are_evaluated_and_loaded() -> None:
    collector = make_collector(EnvConfig("CartPole-v1"), 4)
    policy = ActorCritic(collector.observation_space, collector.action_space, SMALL, generator(1, "weights"))
    config = replace(PPO_SMALL, optimizer=replace(PPO_SMALL.optimizer, ema_decay=1 - 1e-9))
    agent = PPO(policy, config, until=Budget(1000), seed=1)
    initial = {key: value.clone() for key, value in policy.state_dict().items()}
    batch, _, _ = Rollouts(collector, policy, 32).next(Counters())
    agent.update(batch, Counters())
    loaded = policy_of(_copied(agent.state_dict())).state_dict()
    for key, value in initial.items():
        torch.testing.assert_close(loaded[key], value, rtol=0, atol=1e-6)  # so slow an average has not moved
        assert not torch.allclose(policy.state_dict()[key], value, atol=1e-6), key


def test_pictures_are_learned_from_by_a_shared_encoder() -> None:
    env = EnvConfig("tests.support.learning_envs:Picture-v0")
    training = Training("ppo", env, ActorCriticConfig(network=NetworkConfig(hidden=(16,), cnn="small")))
    encoder = [key for key, _ in training.policy.named_parameters() if "encoder" in key]
    assert encoder
    assert not any("critic_encoder" in key for key in encoder)
    for _ in range(10):
        training.update()
    returns, _ = play(make_vec(env, 10, seed=99), training.policy, 2, mode="greedy", rng=generator(0))
    assert returns.mean() >= 9.5
    with pytest.raises(UserError, match="shared_encoder = True: it takes False"):
        Reinforce(training.policy, REINFORCE_SMALL, until=Budget(1), seed=1)


def test_separate_encoders_share_no_weight() -> None:
    config = ActorCriticConfig(network=NetworkConfig(hidden=(16,), cnn="small"), shared_encoder=False)
    training = Training("ppo", EnvConfig("tests.support.learning_envs:Picture-v0"), config)
    policy = training.policy
    actor, critic = dict(policy.actor_encoder.named_parameters()), dict(policy.critic_encoder.named_parameters())
    assert actor
    assert actor.keys() == critic.keys()
    assert not any(torch.equal(value, critic[key]) for key, value in actor.items() if value.dim() > 1)
    batch, _, _ = training.rollouts.next(Counters())
    data = to_samples(batch, {})
    log_prob, _, value = policy.evaluate(data)
    torch.testing.assert_close(value, policy.value(data))
    for loss, learns, others in ((log_prob, actor, critic), (value, critic, actor)):
        policy.zero_grad()
        loss.sum().backward()
        assert all(parameter.grad.abs().max() > 0 for key, parameter in learns.items() if "weight" in key)  # type: ignore[union-attr]
        assert all(parameter.grad is None for parameter in others.values())


def test_an_update_that_is_skipped_is_counted_and_changes_nothing() -> None:
    training = Training("ppo", EnvConfig("CartPole-v1"))
    config = replace(PPO_SMALL, target_kl=0.01, optimizer=replace(PPO_SMALL.optimizer, on_non_finite="skip"))
    agent = PPO(training.policy, config, until=Budget(1000), seed=1)
    batch, _, _ = training.rollouts.next(Counters())
    batch["reward"][:] = float("nan")
    before = {key: value.clone() for key, value in training.policy.named_parameters()}
    metrics, _ = agent.update(batch, Counters())
    assert float(metrics["optimizer/skipped_updates"].value) == config.epochs * 4
    for key, value in training.policy.named_parameters():
        assert torch.equal(value, before[key]), key


def _copied(state: Any) -> Any:
    """As a checkpoint would: nothing of it is shared with the living object."""
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_copied(value) for value in state]
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    return state.copy() if isinstance(state, np.ndarray) else state
