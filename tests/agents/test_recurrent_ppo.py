"""Recurrent PPO: its update step by step by hand, that it learns to remember, and what it is not made for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agents.acting.evaluation import play
from agents.acting.rollouts import Rollouts
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.recurrent_actor_critic import RecurrentActorCritic, RecurrentActorCriticConfig
from agents.ppo import PPO, PPOConfig
from agents.recurrent_ppo import RecurrentPPO, RecurrentPPOConfig
from envs.config import EnvConfig
from envs.making import make_vec
from envs.single import make_env
from tests.support import on_policy
from tests.support.cases import OnPolicyCase
from tests.support.collectors import make_collector
from tests.support.recurrent import SHAPES, ByHand, make_policy
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.optimizer.config import all_can_compile, with_compile
from training.seeding import generator

CASES = {
    "recurrent_ppo": OnPolicyCase(
        algorithm=RecurrentPPO,
        config=RecurrentPPOConfig(
            horizon=32,
            sequence_length=8,
            minibatch_size=64,
            epochs=6,
            gamma=0.5,
            optimizer=on_policy.FAST,
        ),
        env_steps=8_192,
        waits="sequences are cut where episodes begin, which the CPU must know",
    )
}
SMALL = [
    *("--agent.epochs", "2", "--agent.horizon", "32", "--agent.sequence-length", "16"),
    *("--agent.minibatch-size", "64", "--groups", "2"),
]
RESUMED = {  # what is remembered, selected observations, two inference groups
    "recurrent_ppo_cartpole": SMALL,
    "recurrent_ppo_cartpole-transformer": [*SMALL, "--policy.cell", "transformer", "--policy.transformer.context", "8"],
}

UNTIL = Budget(1_000)
RECALL = EnvConfig("tests.support.learning_envs:Recall-v0")


@pytest.mark.parametrize("sequence_length", [None, 4])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_the_first_update_is_that_of_plain_torch(env_id: str, shape: str, sequence_length: int | None) -> None:
    """The second rollout of three environments, in which episodes end in both ways, written out step by step."""
    env = EnvConfig(env_id, time_limit=7)
    policy = make_policy(env, shape)
    rollouts = Rollouts(make_collector(env), policy, horizon=8)
    rollouts.next(Counters())
    batch, _, _ = rollouts.next(Counters())
    t, n = batch["final_index"][0]
    batch["terminated"][t, n], batch["truncated"][t, n] = True, False
    assert batch["truncated"].any()
    config = RecurrentPPOConfig(
        horizon=8,
        sequence_length=sequence_length,
        minibatch_size=8,
        epochs=2,
        gamma=0.9,
        gae_lambda=0.8,
        entropy_coefficient=0.01,
        optimizer=OptimizerConfig(learning_rate=1e-2, eps=1e-5, max_grad_norm=0.5),
    )
    by_hand = ByHand(policy, trainable=True)
    before = {key: value.detach().clone() for key, value in policy.named_parameters()}
    kept = {key: value.clone() for key, value in batch.items()}
    RecurrentPPO(policy, config, until=UNTIL, seed=1).update(batch, Counters())
    if policy.normalizers:
        by_hand.normalizers = make_policy(env, shape).normalizers  # those before the update
    _plain_update(by_hand, batch, config)
    for key, value in policy.named_parameters():
        assert not torch.equal(value, before[key]), f"{key} has not moved"
        torch.testing.assert_close(value.detach(), by_hand.weights[key].detach(), rtol=1e-3, atol=2e-5)
    for key, rows in batch.items():
        assert torch.equal(rows, kept[key]), key


def _plain_update(by_hand: ByHand, batch: Batch, config: RecurrentPPOConfig) -> None:
    horizon, num_envs = batch["reward"].shape
    length = config.sequence_length or horizon
    state = {}
    log_prob, value = torch.zeros(horizon, num_envs), torch.zeros(horizon, num_envs)
    advantage = torch.zeros(horizon, num_envs)
    final = {(int(t), int(n)): obs for (t, n), obs in zip(batch["final_index"], batch["final_obs"], strict=True)}
    with torch.no_grad():
        for n in range(num_envs):
            now = {name: batch[f"state/{name}"][n] for name in by_hand.names}
            next_value = torch.zeros(horizon)
            for t in range(horizon):
                state[t, n] = now
                outputs, value[t, n], now = by_hand.step(batch["obs"][t, n], batch["is_first"][t, n], now)
                log_prob[t, n] = by_hand.distribution(outputs).log_prob(batch["action"][t, n])
                following = final.get((t, n), batch["obs"][t + 1, n])
                next_value[t] = by_hand.step(following, False, now)[1]  # noqa: FBT003 - before any reset
            total = torch.tensor(0.0)
            for t in reversed(range(horizon)):
                goes_on = 0.0 if batch["terminated"][t, n] else 1.0
                delta = batch["reward"][t, n] + config.gamma * goes_on * next_value[t] - value[t, n]
                total = delta + (0.0 if (t, n) in final else config.gamma * config.gae_lambda * total)
                advantage[t, n] = total
    target = advantage + value
    sequences = [(t, n) for t in range(0, horizon, length) for n in range(num_envs)]
    adam = torch.optim.Adam(by_hand.weights.values(), lr=config.optimizer.learning_rate, eps=1e-5)
    rng = generator(1, "minibatches")
    for _ in range(config.epochs):
        for rows in torch.randperm(len(sequences), generator=rng).split(config.minibatch_size // length):
            terms = []
            for t0, n in [sequences[row] for row in rows]:
                now = state[t0, n]
                for t in range(t0, t0 + length):
                    outputs, v, now = by_hand.step(batch["obs"][t, n], batch["is_first"][t, n], now)
                    chosen = by_hand.distribution(outputs)
                    ratio = (chosen.log_prob(batch["action"][t, n]) - log_prob[t, n]).exp()
                    terms.append((ratio, advantage[t, n], (v - target[t, n]).square(), chosen.entropy()))
            ratio, a, error, entropy = (torch.stack(parts) for parts in zip(*terms, strict=True))
            a = (a - a.mean()) / (a.std() + 1e-8)
            surrogate = torch.min(ratio * a, ratio.clamp(1 - config.clip_range, 1 + config.clip_range) * a)
            loss = -surrogate.mean() + config.value_coefficient * error.mean() - 0.01 * entropy.mean()
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(by_hand.weights.values(), 0.5)
            adam.step()


def learned(algorithm: Any, policy: Any, config: Any, env_steps: int) -> float:
    """The mean return in the task of remembering."""
    until = Budget(env_steps)
    agent = algorithm(policy, config, until=until, seed=1)
    rollouts = Rollouts(make_collector(RECALL, 16), policy, config.horizon)
    now = Counters()
    while not until.reached(now):
        batch, after, _ = rollouts.next(now)
        agent.update(batch, now)
        now = after.advance(updates=1)
    returns, _ = play(make_vec(RECALL, 20, seed=99), policy, 10, mode="greedy", rng=generator(0))
    return float(returns.mean())


ADAM = OptimizerConfig(learning_rate=1e-2, schedule=Schedule("linear"), max_grad_norm=0.5)


@pytest.mark.parametrize(
    "shape", ["lstm", *(pytest.param(name, marks=pytest.mark.full) for name in ("shared", "gru", "transformer"))]
)
def test_it_learns_to_remember(shape: str) -> None:
    """The sequences of 8 steps begin anywhere in the episodes of 5."""
    env = make_env(RECALL)
    config = RecurrentActorCriticConfig(network=NetworkConfig(hidden=(16,)), **SHAPES[shape] | {"memory_size": 16})
    policy = RecurrentActorCritic(env.observation_space, env.action_space, config, generator(1))
    agent = RecurrentPPOConfig(horizon=16, sequence_length=8, minibatch_size=128, epochs=6, optimizer=ADAM)
    assert learned(RecurrentPPO, policy, agent, 12_000) > 0.98


def test_without_a_memory_the_same_cannot_be_learned() -> None:
    env = make_env(RECALL)
    config = ActorCriticConfig(network=NetworkConfig(hidden=(16,)))
    policy = ActorCritic(env.observation_space, env.action_space, config, generator(1))
    agent = PPOConfig(horizon=16, minibatch_size=128, epochs=6, optimizer=ADAM)
    assert 0.4 < learned(PPO, policy, agent, 12_000) < 0.6


def test_pictures_nested_spaces_and_separate_encoders_are_learned_from() -> None:
    env = EnvConfig("tests.support.learning_envs:Picture-v0")
    policy = make_policy(env, network=NetworkConfig(hidden=(8,), cnn="small"), shared_encoder=False)
    before = {key: value.detach().clone() for key, value in policy.named_parameters()}
    batch, _, _ = Rollouts(make_collector(env), policy, 12).next(Counters())
    config = RecurrentPPOConfig(horizon=12, sequence_length=6, minibatch_size=18)
    RecurrentPPO(policy, config, until=UNTIL, seed=1).update(batch, Counters())
    for key, value in policy.named_parameters():
        assert not torch.equal(value, before[key]), key


def test_reset_transitions_of_a_next_step_env_are_left_out() -> None:
    env = EnvConfig("CartPole-v1", backend="vector-entry-point", time_limit=5)
    batch, after, _ = Rollouts(make_collector(env), make_policy(env), 16).next(Counters())
    resets = ~batch["valid"]
    assert resets.sum() >= 6
    assert after.env_steps == 48 - resets.sum()
    poisoned = {key: value.clone() for key, value in batch.items()}
    poisoned["action"][resets] = 1 - poisoned["action"][resets]
    poisoned["reward"][resets] = 100.0
    weights = []
    for data in (batch, poisoned):
        policy = make_policy(env, "normalized")
        agent = RecurrentPPO(policy, RecurrentPPOConfig(horizon=16, minibatch_size=16), until=UNTIL, seed=1)
        metrics, _ = agent.update(data, Counters())
        weights.append(torch.cat([p.flatten() for p in policy.parameters()]).detach())
        assert policy.normalizers["obs"].count == 50 + after.env_steps
    assert torch.equal(weights[0], weights[1])
    assert np.isfinite(float(metrics["value/loss"].value))


def test_the_kl_limit_ends_an_update_early_and_the_clip_range_follows_its_schedule() -> None:
    env = EnvConfig("CartPole-v1")
    batch, _, _ = Rollouts(make_collector(env), make_policy(env), 16).next(Counters())

    def update(env_steps: int = 0, **changes: Any) -> tuple[float, Tensor]:
        policy = make_policy(env)
        config = RecurrentPPOConfig(
            horizon=16, minibatch_size=16, epochs=10, optimizer=replace(ADAM, schedule=Schedule())
        )
        agent = RecurrentPPO(policy, replace(config, **changes), until=UNTIL, seed=1)
        metrics, _ = agent.update(batch, Counters(env_steps=env_steps))
        weights = torch.cat([p.flatten() for p in policy.parameters()])
        return float(metrics["policy/clip_range"].value), weights.detach()

    start = torch.cat([p.flatten() for p in make_policy(env).parameters()]).detach()
    assert (update(target_kl=1e-6)[1] - start).norm() < (update()[1] - start).norm() / 2
    measured, half = update(500, clip_schedule=Schedule("linear"))
    assert measured == pytest.approx(0.1)
    assert torch.equal(half, update(clip_range=0.1)[1])
    assert not torch.equal(half, update()[1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sequence_length": 3}, "sequence_length = 3: it takes a divisor of horizon = 8, or None"),
        ({"sequence_length": 0}, "sequence_length = 0: it takes a divisor"),
        ({"minibatch_size": 12}, "minibatch_size = 12: it takes at least 2 samples, and whole sequences of 8 steps"),
        ({"clip_range": 0.0}, "clip_range = 0.0: it takes a positive number"),
    ],
)
def test_impossible_numbers_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(RecurrentPPOConfig(horizon=8, minibatch_size=16), **wrong)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_learns_in_low_precision(shape: str) -> None:
    env = EnvConfig("CartPole-v1", time_limit=5)
    batch, _, _ = Rollouts(make_collector(env), make_policy(env, shape), 16).next(Counters())
    moved = []
    for precision in ("float32", "bf16"):
        policy = make_policy(env, shape)
        config = RecurrentPPOConfig(
            horizon=16, minibatch_size=48, epochs=1, optimizer=replace(ADAM, precision=precision)
        )
        RecurrentPPO(policy, config, until=UNTIL, seed=1).update(batch, Counters())
        moved.append(torch.cat([p.flatten() for p in policy.parameters()]).detach())
    start = torch.cat([p.flatten() for p in make_policy(env, shape).parameters()]).detach()
    similarity = torch.cosine_similarity(moved[0] - start, moved[1] - start, dim=0)
    assert similarity > 0.8
    assert not torch.equal(moved[0], moved[1])


def test_it_is_never_compiled_and_says_so() -> None:
    assert not all_can_compile(RecurrentPPOConfig())
    with pytest.raises(UserError, match="compile = True: it takes False: recurrent PPO's sequences are cut where"):
        with_compile(RecurrentPPOConfig(), True)  # noqa: FBT003
