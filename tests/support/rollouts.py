"""Rollouts of small policies, and plain torch and Stable-Baselines3 to compare an update on them with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from agents.acting.collector import Group, LocalCollector, make_group
from agents.acting.rollouts import Rollouts
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from envs.config import EnvConfig
from envs.making import make_vec
from training.core import Batch, Budget, Counters
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.seeding import generator

UNTIL = Budget(1_000)
PLAIN_STEP = OptimizerConfig(kind="sgd", learning_rate=0.01)
ADAM = OptimizerConfig(learning_rate=1e-2, eps=1e-5, max_grad_norm=0.5)
"""As Stable-Baselines3 has it below."""
WALK = EnvConfig("tests.support.toy_envs:RandomWalk-v0")


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


def make_opinionated(env_id: str) -> tuple[ActorCritic, Batch]:
    """A policy far from uniform, so that the gradient of its entropy is not small."""
    policy, batch = make_rollout(env_id, 16, 2)
    with torch.no_grad():
        policy.actor[-1].weight *= 200  # type: ignore[union-attr, operator]
        for log_std in policy.heads.log_std.values():
            log_std += 0.5
    return policy, batch


def monte_carlo(policy: ActorCritic, batch: Batch, gamma: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
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


def distribution(policy: ActorCritic, obs: Tensor) -> Any:
    outputs = policy.actor(obs)
    if policy.heads.log_std:
        return torch.distributions.Independent(
            torch.distributions.Normal(outputs, policy.heads.log_std["action"].exp()), 1
        )
    return torch.distributions.Categorical(logits=outputs)


def after_step(policy: ActorCritic, loss: Tensor, prefixes: str) -> dict[str, Tensor]:
    """Where one step down the gradient leads the parameters of which one of the prefixes is true."""
    parts = tuple(prefixes.split()) or ("",)
    moved = {key: value for key, value in policy.named_parameters() if key.startswith(parts)}
    gradients = torch.autograd.grad(loss, list(moved.values()))
    assert all(gradient.abs().max() > 1e-3 for gradient in gradients)
    return {key: (value - 0.01 * g).detach() for (key, value), g in zip(moved.items(), gradients, strict=True)}


def assert_moved_to(policy: ActorCritic, expected: dict[str, Tensor]) -> None:
    assert expected.keys() == dict(policy.named_parameters()).keys()
    for key, value in policy.named_parameters():
        torch.testing.assert_close(value.detach(), expected[key], rtol=1e-5, atol=1e-6, msg=key)


def assert_agrees_with_stable_baselines3(
    name: str, env_id: str, make: Callable[[ActorCritic], Any], **extra: Any
) -> None:
    """Same weights, same rollout: one full-batch step moves every parameter alike.

    `name` is their class, `make` makes our agent, and `extra` is what it takes besides what both have.
    """
    import stable_baselines3

    horizon, num_envs = 16, 2
    policy, batch = make_rollout(env_id, horizon, num_envs)
    ours = make(policy)
    model = getattr(stable_baselines3, name)(
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


def random_walk(seed: int = 1) -> tuple[ActorCritic, Batch]:
    """A policy and what it did."""
    collector = LocalCollector(lambda index: make_group(WALK, 3, seed=seed, index=index))
    spaces = collector.observation_space, collector.action_space
    policy = ActorCritic(*spaces, ActorCriticConfig(), generator(seed, "weights"))
    collector.publish(policy, 0)
    return policy, collector.collect(8)[0]


def learned(algorithm: Any, config: Any, batch: Batch) -> tuple[dict[str, torch.Tensor], Any]:
    """The weights after one update of the policy of `random_walk` on the batch, and what was measured."""
    policy, _ = random_walk()
    agent = algorithm(policy, config, until=Budget(1000), seed=1)
    metrics, _ = agent.update(batch, Counters())
    return policy.state_dict(), metrics
