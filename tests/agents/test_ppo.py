"""PPO: the whole first update against plain torch and Stable-Baselines3, its limits and its schedule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.ppo import PPO, PPOConfig
from agents.recipes.on_policy import OnPolicyConfig
from envs.config import EnvConfig
from tests.support import on_policy
from tests.support.cases import OnPolicyCase
from tests.support.rollouts import ADAM, UNTIL, assert_agrees_with_stable_baselines3, make_rollout
from training.core import Batch, Counters
from training.errors import UserError
from training.optimizer import OptimizerConfig, Schedule
from training.seeding import generator

CASES = {
    "ppo": OnPolicyCase(
        algorithm=PPO,
        config=PPOConfig(
            horizon=32,
            minibatch_size=64,
            epochs=6,
            gamma=0.5,
            optimizer=on_policy.FAST,
        ),
        env_steps=8_192,
    )
}
RESUMED = {
    # The algorithm's own script, with a preset.
    "ppo": ["--env.id", "MountainCarContinuous-v0", "--agent.horizon", "64", "--agent.epochs", "2"],
    "ppo_cartpole": ["--agent.epochs", "2"],
    "ppo_cartpole-torch": ["--agent.epochs", "2", "--compile", "false"],
    # By torch's compiler, as the kernel does not know this activation.
    "ppo_cartpole-compiled": ["--agent.epochs", "2", "--compile", "--policy.network.activation", "silu"],
    # Somebody's own network, with batch normalization and dropout.
    "ppo_cartpole-own": ["--agent.epochs", "2", "--policy.network.module", "tests.support.networks:Noisy"],
    # Normalized observations, scaled rewards, environments restored by replay, two inference groups.
    "ppo_acrobot": ["--agent.horizon", "32", "--groups", "2"],
    # Ray workers, environments restored by replay, two groups on each.
    "ppo_acrobot-workers": ["--agent.horizon", "32", "--groups", "4", "--workers", "2"],
    # Worker processes, continuous actions.
    "ppo_pendulum": ["--agent.horizon", "64", "--agent.epochs", "2", "--env.backend", "subprocess"],
    # A class that is not registered, wrappers with a state of their own, signs of rewards.
    "ppo_pendulum-wrapped": [
        *("--agent.horizon", "64", "--agent.epochs", "2", "--clip-reward", "--env.time-limit", "50"),
        *("--env.id", "gymnasium.envs.classic_control:PendulumEnv"),
        *("--env.wrappers", '["TimeAwareObservation", "StickyAction(repeat_action_probability=0.3)"]'),
    ],
    # Three agents as rows of each match, with a critic that sees all of them; mpe2's own, restored by replay.
    "mappo_spread": ["--num-envs", "8", "--agent.minibatch-size", "200", "--agent.epochs", "2"],
    "mappo_spread-in-process": [
        *("--num-envs", "4", "--agent.horizon", "20", "--agent.minibatch-size", "80", "--agent.epochs", "2"),
        *("--env.backend", "in-process", "--env-steps", "1280"),
    ],
    # A fresh instance for every episode.
    "ppo_bipedal_walker": ["--agent.horizon", "32", "--agent.minibatch-size", "256", "--num-envs", "8"],
}


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_ppos_first_update_is_that_of_plain_torch(env_id: str) -> None:
    """The whole update written out again with torch.distributions, loops over steps and torch.optim."""
    policy, batch = make_rollout(env_id, horizon=16, num_envs=2)
    config = PPOConfig(
        minibatch_size=8,
        epochs=2,
        gamma=0.9,
        gae_lambda=0.8,
        entropy_coefficient=0.01,
        optimizer=OptimizerConfig(learning_rate=1e-2, eps=1e-5, max_grad_norm=0.5),
    )
    before = {key: value.detach().clone() for key, value in policy.named_parameters()}
    PPO(policy, config, until=UNTIL, seed=1).update(batch, Counters())
    after = {key: value.detach().clone() for key, value in policy.named_parameters()}
    plain = _plain_ppo(before, batch, config, generator(1, "minibatches"), continuous=env_id == "Pendulum-v1")
    for key, value in after.items():
        assert not torch.equal(value, before[key]), f"{key} has not moved"
        torch.testing.assert_close(value.detach(), plain[key].detach(), rtol=1e-4, atol=1e-5)


def _plain_ppo(
    weights: dict[str, Tensor], batch: Batch, config: PPOConfig, rng: torch.Generator, *, continuous: bool
) -> dict[str, Tensor]:
    weights = {key: value.clone().requires_grad_() for key, value in weights.items()}
    adam = torch.optim.Adam(weights.values(), lr=config.optimizer.learning_rate, eps=1e-5)

    def tower(name: str, obs: Tensor) -> Tensor:
        x = (obs @ weights[f"{name}.0.weight"].T + weights[f"{name}.0.bias"]).tanh()
        x = (x @ weights[f"{name}.2.weight"].T + weights[f"{name}.2.bias"]).tanh()
        return x @ weights[f"{name}.4.weight"].T + weights[f"{name}.4.bias"]

    def distribution(obs: Tensor) -> Any:
        out = tower("actor", obs)
        if continuous:
            normal = torch.distributions.Normal(out, weights["heads.log_std.action"].exp())
            return torch.distributions.Independent(normal, 1)
        return torch.distributions.Categorical(logits=out)

    horizon, num_envs = batch["reward"].shape
    final = {(int(t), int(n)): obs for (t, n), obs in zip(batch["final_index"], batch["final_obs"], strict=True)}
    with torch.no_grad():
        value = tower("critic", batch["obs"])[..., 0]
        advantage = torch.zeros(horizon, num_envs)
        for n in range(num_envs):
            following = 0.0
            for t in reversed(range(horizon)):
                ended = bool(batch["terminated"][t, n] or batch["truncated"][t, n])
                next_value = tower("critic", final[t, n])[0] if ended else value[t + 1, n]
                if batch["terminated"][t, n]:
                    next_value = torch.tensor(0.0)
                delta = batch["reward"][t, n] + config.gamma * next_value - value[t, n]
                following = delta + (0.0 if ended else config.gamma * config.gae_lambda * following)
                advantage[t, n] = following
        target = (advantage + value[:-1]).flatten()
        obs, action = batch["obs"][:-1].flatten(0, 1), batch["action"].flatten(0, 1)
        old_log_prob = distribution(obs).log_prob(action)
        advantage = advantage.flatten()
    for _ in range(config.epochs):
        for rows in torch.randperm(len(advantage), generator=rng).split(config.minibatch_size):
            a = advantage[rows]
            a = (a - a.mean()) / (a.std() + 1e-8)
            now = distribution(obs[rows])
            ratio = (now.log_prob(action[rows]) - old_log_prob[rows]).exp()
            surrogate = torch.min(ratio * a, ratio.clamp(1 - config.clip_range, 1 + config.clip_range) * a)
            value_loss = (tower("critic", obs[rows])[:, 0] - target[rows]).pow(2).mean()
            loss = -surrogate.mean() + config.value_coefficient * value_loss
            loss = loss - config.entropy_coefficient * now.entropy().mean()
            adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights.values(), 0.5)
            adam.step()
    return weights


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_an_update_agrees_with_stable_baselines3(env_id: str) -> None:
    config = PPOConfig(
        horizon=16,
        epochs=1,
        minibatch_size=32,
        gamma=0.9,
        gae_lambda=0.8,
        entropy_coefficient=0.01,
        optimizer=ADAM,
    )
    extra = {"batch_size": 32, "n_epochs": 1, "clip_range": 0.2}
    assert_agrees_with_stable_baselines3(
        "PPO", env_id, lambda policy: PPO(policy, config, until=UNTIL, seed=1), **extra
    )


def test_the_kl_limit_ends_an_update_early() -> None:
    moved = []
    for target_kl in (None, 1e-6):
        policy, batch = make_rollout("CartPole-v1", 16, 2)
        config = PPOConfig(minibatch_size=8, epochs=10, target_kl=target_kl)
        config = replace(config, optimizer=replace(config.optimizer, learning_rate=1e-2))
        before = torch.cat([p.flatten() for p in policy.parameters()]).detach().clone()
        PPO(policy, config, until=UNTIL, seed=1).update(batch, Counters())
        moved.append(float((torch.cat([p.flatten() for p in policy.parameters()]) - before).detach().norm()))
    assert moved[1] < moved[0] / 2


def test_the_clip_range_follows_its_schedule() -> None:
    """At half of the budget of 1000 env steps a linear schedule clips at half of the range; near its end at nothing."""

    def update(clip_range: float, schedule: str, env_steps: int) -> tuple[float, Tensor]:
        policy, batch = make_rollout("CartPole-v1", 16, 2)
        config = PPOConfig(minibatch_size=8, clip_range=clip_range, clip_schedule=Schedule(schedule))  # type: ignore[arg-type]
        config = replace(config, optimizer=OptimizerConfig(learning_rate=3e-2))
        metrics, _ = PPO(policy, config, until=UNTIL, seed=1).update(batch, Counters(env_steps=env_steps))
        weights = torch.cat([p.flatten() for p in policy.parameters()])
        return float(metrics["policy/clip_range"].value), weights.detach()

    measured, half = update(0.2, "linear", 500)
    assert measured == pytest.approx(0.1)
    assert torch.equal(half, update(0.1, "constant", 500)[1])
    assert not torch.equal(half, update(0.2, "constant", 500)[1])
    measured, end = update(0.2, "linear", 999)
    assert measured == pytest.approx(0.0002)
    assert not torch.allclose(end, half, atol=1e-3)


def test_reset_transitions_of_a_next_step_env_are_left_out() -> None:
    _, batch = make_rollout("CartPole-v1", 16, 2)
    batch["valid"] = torch.ones(16, 2, dtype=torch.bool)
    batch["valid"][3, 1] = False
    poisoned = {key: value.clone() for key, value in batch.items()}
    poisoned["action"][3, 1] = 1 - poisoned["action"][3, 1]
    weights = []
    for data in (batch, poisoned):
        fresh, _ = make_rollout("CartPole-v1", 16, 2)
        PPO(fresh, PPOConfig(minibatch_size=8), until=UNTIL, seed=1).update(data, Counters())
        weights.append(torch.cat([p.flatten() for p in fresh.parameters()]))
    assert torch.equal(weights[0], weights[1])


def test_a_rollout_that_minibatches_do_not_divide_is_named() -> None:
    with pytest.raises(UserError, match=r"minibatch_size = 100: it takes a divisor .* 256 samples"):
        OnPolicyConfig(env=EnvConfig("CartPole-v1"), agent=PPOConfig(horizon=32, minibatch_size=100), num_envs=8)
