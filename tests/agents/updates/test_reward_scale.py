"""Reward scaling against Stable-Baselines3, and its state."""

from __future__ import annotations

import numpy as np
import torch

from agents.updates.reward_scale import RewardScale


def random_rollout(seed: int, horizon: int, num_envs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rewards, and where an episode begins."""
    rng = torch.Generator().manual_seed(seed)
    reward = 3 + 2 * torch.randn(horizon, num_envs, generator=rng, dtype=torch.float64)
    return reward, torch.rand(horizon, num_envs, generator=rng) < 0.1


def test_it_is_that_of_stable_baselines3_over_the_same_rewards() -> None:
    from stable_baselines3.common.running_mean_std import RunningMeanStd

    oracle, returns, scale = RunningMeanStd(epsilon=1e-12), np.zeros(4), RewardScale(4, gamma=0.9)
    for seed in range(5):
        reward, first = random_rollout(seed, 32, 4)
        for t in range(32):
            returns[first[t].numpy()] = 0
            returns = returns * 0.9 + reward[t].numpy()
            oracle.update(returns)
        expected = np.clip(reward.numpy() / np.sqrt(oracle.var + 1e-8), -10, 10)
        np.testing.assert_allclose(scale(reward, first).numpy(), expected, rtol=1e-9)


def test_it_continues_from_its_state() -> None:
    scale, resumed = RewardScale(3, gamma=0.99), RewardScale(3, gamma=0.99)
    scale(*random_rollout(1, 16, 3))
    resumed.load_state_dict(scale.state_dict())
    rollout = random_rollout(2, 16, 3)
    assert torch.equal(scale(*rollout), resumed(*rollout))


def test_it_does_not_learn_from_what_is_not_valid() -> None:
    reward, first = random_rollout(1, 16, 3)
    valid = torch.arange(48).reshape(16, 3) % 3 > 0
    poisoned = torch.where(valid, reward, 1e6)
    one, other = RewardScale(3, gamma=0.0), RewardScale(3, gamma=0.0)
    one(reward, first, valid)
    other(poisoned, first, valid)
    assert one.std == other.std


def test_an_outlier_is_clipped() -> None:
    reward = torch.zeros(200, 3)
    reward[7, 1] = 1e9
    assert RewardScale(3, gamma=0.99)(reward, (reward > 0).roll(1, 0)).max() == 10


def test_its_state_is_all_that_it_has_learned() -> None:
    scale, returns, running = RewardScale(3, gamma=0.9), [], np.zeros(3)
    for seed in (1, 2):
        reward, first = random_rollout(seed, 16, 3)
        scale(reward, first)
        for t in range(16):
            running = np.where(first[t].numpy(), 0, running) * 0.9 + reward[t].numpy()
            returns.append(running)
    moments = scale.state_dict()["moments"]
    assert moments["count"] == 2 * 16 * 3
    np.testing.assert_allclose(moments["mean"], np.mean(returns))
    np.testing.assert_allclose(moments["variance"], np.var(returns))
    np.testing.assert_allclose(scale.state_dict()["returns"], running)

    for forgotten in ("mean", "variance", "count"):
        whole, changed = RewardScale(3, gamma=0.9), RewardScale(3, gamma=0.9)
        whole.load_state_dict(scale.state_dict())
        changed.load_state_dict(
            scale.state_dict() | {"moments": moments | {forgotten: torch.ones((), dtype=torch.float64)}}
        )
        rollout = random_rollout(3, 16, 3)
        assert not torch.allclose(whole(*rollout), changed(*rollout), rtol=1e-3), forgotten
