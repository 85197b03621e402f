"""PPO and A2C against Stable-Baselines3 on the same data, and every agent's update against plain torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from agents.a2c import A2C, A2CConfig
from agents.acting.collector import Group, LocalCollector
from agents.acting.rollouts import Rollouts
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.ppo import PPO, PPOConfig
from agents.recipes.on_policy import OnPolicyConfig
from agents.reinforce import Reinforce, ReinforceConfig
from agents.updates.losses import ppo_loss
from envs.config import EnvConfig
from envs.making import make_vec
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.metrics import merge_metrics
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.seeding import generator

UNTIL = Budget(1_000)


def make_rollout(env_id: str, horizon: int, num_envs: int) -> tuple[ActorCritic, Batch]:
    collector = LocalCollector(
        lambda index: Group(make_vec(EnvConfig(env_id, time_limit=10), num_envs, seed=3), seed=1, index=index)
    )
    config = ActorCriticConfig(network=NetworkConfig(hidden=(8, 8)), rescale_action=False)
    policy = ActorCritic(collector.observation_space, collector.action_space, config, generator(1, "weights"))
    batch, _, _ = Rollouts(collector, policy, horizon).next(Counters())
    t, n = batch["final_index"][0]  # one end, whatever it was, and at least one cut
    batch["terminated"][t, n], batch["truncated"][t, n] = True, False
    assert batch["truncated"].any()
    return policy, batch


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


PLAIN_STEP = OptimizerConfig(kind="sgd", learning_rate=0.01)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_a2cs_update_is_a_plain_gradient_step(env_id: str) -> None:
    policy, batch = make_opinionated(env_id)
    config = A2CConfig(gamma=0.9, value_coefficient=0.7, entropy_coefficient=0.3, optimizer=PLAIN_STEP)
    obs, action, value, target = _monte_carlo(policy, batch, config.gamma)
    now = _distribution(policy, obs)
    loss = -(now.log_prob(action) * (target - value)).mean() - 0.3 * now.entropy().mean()
    loss = loss + 0.7 * (policy.critic(obs)[:, 0] - target).pow(2).mean()
    expected = _stepped(policy, loss, "")
    A2C(policy, config, until=UNTIL, seed=1).update(batch, Counters())
    _assert_moved_to(policy, expected)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_reinforces_update_is_one_plain_step_of_the_policy_and_some_of_the_baseline(
    env_id: str, normalize: bool
) -> None:
    policy, batch = make_opinionated(env_id)
    config = ReinforceConfig(
        gamma=0.9,
        entropy_coefficient=0.3,
        normalize_advantage=normalize,
        baseline_steps=3,
        policy_optimizer=PLAIN_STEP,
        baseline_optimizer=PLAIN_STEP,
    )
    obs, action, value, target = _monte_carlo(policy, batch, config.gamma)
    advantage = target - value
    if normalize:
        advantage = (advantage - advantage.mean()) / advantage.std()
    now = _distribution(policy, obs)
    expected = _stepped(policy, -(now.log_prob(action) * advantage).mean() - 0.3 * now.entropy().mean(), "actor heads")
    baseline, _ = make_opinionated(env_id)
    for _ in range(3):
        stepped = _stepped(baseline, (baseline.critic(obs)[:, 0] - target).pow(2).mean(), "critic")
        baseline.load_state_dict(stepped, strict=False)
    expected |= stepped
    Reinforce(policy, config, until=UNTIL, seed=1).update(batch, Counters())
    _assert_moved_to(policy, expected)


def make_opinionated(env_id: str) -> tuple[ActorCritic, Batch]:
    """A policy far from uniform, so that the gradient of its entropy is not small."""
    policy, batch = make_rollout(env_id, 16, 2)
    with torch.no_grad():
        policy.actor[-1].weight *= 200  # type: ignore[union-attr, operator]
        for log_std in policy.heads.log_std.values():
            log_std += 0.5
    return policy, batch


def _monte_carlo(policy: ActorCritic, batch: Batch, gamma: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Observation, action, value and return of every step; the value stands for what was cut."""
    final = {(int(t), int(n)): obs for (t, n), obs in zip(batch["final_index"], batch["final_obs"], strict=True)}
    horizon, num_envs = batch["reward"].shape
    target = torch.zeros(horizon, num_envs)
    with torch.no_grad():
        value = policy.critic(batch["obs"])[..., 0]
        for n in range(num_envs):
            following = value[horizon, n]
            for t in reversed(range(horizon)):
                if batch["terminated"][t, n]:
                    following = torch.tensor(0.0)
                elif batch["truncated"][t, n]:
                    following = policy.critic(final[t, n])[0]
                target[t, n] = following = batch["reward"][t, n] + gamma * following
    assert final, "some episode has ended"
    return batch["obs"][:-1].flatten(0, 1), batch["action"].flatten(0, 1), value[:-1].flatten(), target.flatten()


def _distribution(policy: ActorCritic, obs: Tensor) -> Any:
    outputs = policy.actor(obs)
    if policy.heads.log_std:
        return torch.distributions.Independent(
            torch.distributions.Normal(outputs, policy.heads.log_std["action"].exp()), 1
        )
    return torch.distributions.Categorical(logits=outputs)


def _stepped(policy: ActorCritic, loss: Tensor, prefixes: str) -> dict[str, Tensor]:
    """Where one step down the gradient leads the parameters of which one of the prefixes is true."""
    parts = tuple(prefixes.split()) or ("",)
    moved = {key: value for key, value in policy.named_parameters() if key.startswith(parts)}
    gradients = torch.autograd.grad(loss, list(moved.values()))
    assert all(gradient.abs().max() > 1e-3 for gradient in gradients)
    return {key: (value - 0.01 * g).detach() for (key, value), g in zip(moved.items(), gradients, strict=True)}


def _assert_moved_to(policy: ActorCritic, expected: dict[str, Tensor]) -> None:
    assert expected.keys() == dict(policy.named_parameters()).keys()
    for key, value in policy.named_parameters():
        torch.testing.assert_close(value.detach(), expected[key], rtol=1e-5, atol=1e-6, msg=key)


@pytest.mark.parametrize("algorithm", ["ppo", "a2c"])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_an_update_agrees_with_stable_baselines3(algorithm: str, env_id: str) -> None:
    """Same weights, same rollout: one full-batch step moves every parameter alike."""
    import stable_baselines3

    horizon, num_envs = 16, 2
    policy, batch = make_rollout(env_id, horizon, num_envs)
    adam = OptimizerConfig(learning_rate=1e-2, eps=1e-5, max_grad_norm=0.5)
    if algorithm == "ppo":
        config = PPOConfig(
            horizon=horizon,
            epochs=1,
            minibatch_size=32,
            gamma=0.9,
            gae_lambda=0.8,
            entropy_coefficient=0.01,
            optimizer=adam,
        )
        ours: Any = PPO(policy, config, until=UNTIL, seed=1)
        extra = {"batch_size": 32, "n_epochs": 1, "clip_range": 0.2}
    else:
        ours = A2C(policy, A2CConfig(horizon=horizon, gamma=0.9, gae_lambda=0.8, optimizer=adam), until=UNTIL, seed=1)
        extra = {"use_rms_prop": False}
    model = getattr(stable_baselines3, algorithm.upper())(
        "MlpPolicy",
        stable_baselines3.common.vec_env.DummyVecEnv([lambda: gym.make(env_id)] * num_envs),
        n_steps=horizon,
        gamma=0.9,
        gae_lambda=0.8,
        ent_coef=0.01,
        vf_coef=0.5,
        max_grad_norm=0.5,
        learning_rate=1e-2,
        policy_kwargs={"net_arch": [8, 8], "optimizer_class": torch.optim.Adam, "optimizer_kwargs": {"eps": 1e-5}},
        device="cpu",
        **extra,
    )
    model.set_logger(stable_baselines3.common.logger.Logger(None, []))
    theirs = _their_parameters(model)
    for key, value in policy.named_parameters():
        theirs[key].data.copy_(value.data)
    _fill(model, policy, batch)
    ours.update(batch, Counters())
    model.train()
    for key, value in policy.named_parameters():
        torch.testing.assert_close(value.data, theirs[key].data, rtol=1e-3, atol=2e-5)


def _their_parameters(model: Any) -> dict[str, Tensor]:
    policy, found = model.policy, {}
    for ours, extractor, last in (
        ("actor", policy.mlp_extractor.policy_net, policy.action_net),
        ("critic", policy.mlp_extractor.value_net, policy.value_net),
    ):
        for index, layer in ((0, extractor[0]), (2, extractor[2]), (4, last)):
            found[f"{ours}.{index}.weight"], found[f"{ours}.{index}.bias"] = layer.weight, layer.bias
    if hasattr(policy, "log_std"):
        found["heads.log_std.action"] = policy.log_std
    return found


def _fill(model: Any, policy: ActorCritic, batch: Batch) -> None:
    """Their buffer with our rollout; they add gamma times the final value to the reward of a truncated step."""
    reward = batch["reward"].clone()
    for (t, n), obs in zip(batch["final_index"], batch["final_obs"], strict=True):
        if batch["truncated"][t, n] and not batch["terminated"][t, n]:
            reward[t, n] += 0.9 * policy.value({"obs": obs}).detach()
    ended = (batch["terminated"] | batch["truncated"]).numpy()
    starts = np.vstack([batch["is_first"][:1].numpy(), ended[:-1]])
    buffer = model.rollout_buffer
    buffer.reset()
    for t in range(len(reward)):
        sample = {"obs": batch["obs"][t], "action": batch["action"][t]}
        with torch.no_grad():
            log_prob, _, value = policy.evaluate(sample)
        action = batch["action"][t].numpy().reshape(len(value), -1)
        buffer.add(batch["obs"][t].numpy(), action, reward[t].numpy(), starts[t], value, log_prob)
    last = policy.value({"obs": batch["obs"][-1]}).detach()
    buffer.compute_returns_and_advantage(last, ended[-1])


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


def test_what_is_measured_is_of_all_samples_however_they_are_divided() -> None:
    """The divergence that ends an update is the same with micro-batches and with several learners."""
    draw = generator(1)
    batch = {key: torch.randn(7, generator=draw) for key in ("log_prob", "advantage", "return")}
    now = [torch.randn(7, generator=draw) for _ in range(3)]

    def measured(rows: slice) -> Any:
        part = {key: value[rows] for key, value in batch.items()}
        log_prob, entropy, value = (tensor[rows] for tensor in now)
        return ppo_loss((log_prob, entropy, value), PPOConfig(), torch.tensor(0.2), part).metrics

    whole, parts = measured(slice(7)), merge_metrics([measured(slice(2)), measured(slice(2, 7))])
    for key, metric in whole.items():
        assert float(parts[key].value) == pytest.approx(float(metric.value), rel=1e-5)
