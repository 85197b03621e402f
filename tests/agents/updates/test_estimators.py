"""Estimators: golden values, identities between them, and agreement with Stable-Baselines3 on the same data."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agents.updates.estimators import gae, lambda_return, n_step_return, vtrace


def random_rollout(seed: int, horizon: int = 12, num_envs: int = 3) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    ended = torch.rand(horizon, num_envs, generator=rng)
    terminated, truncated = ended < 0.15, (ended >= 0.15) & (ended < 0.3)
    value = torch.randn(horizon + 1, num_envs, generator=rng, dtype=torch.float64)
    next_value = value[1:].clone()
    final = torch.randn(horizon, num_envs, generator=rng, dtype=torch.float64)
    next_value[truncated | terminated] = final[truncated | terminated]
    return {
        "reward": torch.randn(horizon, num_envs, generator=rng, dtype=torch.float64),
        "discount": 0.9 * (~terminated).double(),
        "value": value[:-1],
        "next_value": next_value,
        "continues": (~(terminated | truncated)).double(),
    }


def test_gae_of_a_hand_computed_rollout() -> None:
    column = lambda *numbers: torch.tensor(numbers, dtype=torch.float64)[:, None]  # noqa: E731
    advantage = gae(
        reward=column(1.0, 2.0, 3.0),
        discount=column(0.5, 0.0, 0.5),  # the episode terminates at the second step
        value=column(1.0, 1.0, 1.0),
        next_value=column(1.0, 9.0, 4.0),
        continues=column(1.0, 0.0, 1.0),
        gae_lambda=0.5,
    )
    # delta = (1 + 0.5 - 1, 2 - 1, 3 + 2 - 1); A_0 = 0.5 + 0.25 * A_1
    assert advantage[:, 0].tolist() == [0.75, 1.0, 4.0]


def test_vtrace_of_a_hand_computed_rollout() -> None:
    column = lambda *numbers: torch.tensor(numbers, dtype=torch.float64)[:, None]  # noqa: E731
    target, advantage = vtrace(
        log_ratio=column(2.0, 0.5).log(),
        reward=column(1.0, 1.0),
        discount=column(0.5, 0.5),
        value=column(0.0, 2.0),
        next_value=column(2.0, 4.0),
        continues=column(1.0, 1.0),
    )
    # rho = c = (1, 0.5); delta = (1 + 1 - 0, 0.5 * (1 + 2 - 2)) = (2, 0.5); vs_1 = 2.5; vs_0 = 2 + 0.5 * (2.5 - 2)
    assert target[:, 0].tolist() == [2.25, 2.5]
    assert advantage[:, 0].tolist() == [1 + 0.5 * 2.5 - 0, 1 + 2 - 2]


def test_vtrace_clips_what_bootstraps_and_what_propagates_apart() -> None:
    column = lambda *numbers: torch.tensor(numbers, dtype=torch.float64)[:, None]  # noqa: E731
    target, advantage = vtrace(
        log_ratio=column(4.0, 4.0, 0.5).log(),
        reward=column(1.0, 1.0, 1.0),
        discount=column(0.5, 0.0, 0.5),
        value=column(0.0, 2.0, 1.0),
        next_value=column(2.0, 8.0, 2.0),
        continues=column(1.0, 0.0, 1.0),
        clip_rho=2.0,
        clip_c=3.0,
        trace_lambda=0.5,
    )
    # rho = (2, 2, 0.5), c = 0.5 * (3, 3, 0.5), and the second step is terminal:
    # delta = (2 * (1 + 1 - 0), 2 * (1 - 2), 0.5 * (1 + 1 - 1)) = (4, -2, 0.5); vs_2 = 1.5, vs_1 = 2 - 2 = 0
    # vs_0 = 0 + 4 + 0.5 * 1.5 * (0 - 2) = 2.5
    assert target[:, 0].tolist() == [2.5, 0.0, 1.5]
    assert advantage[:, 0].tolist() == [1 + 0.5 * 0.0 - 0.0, 1 - 2.0, 1 + 0.5 * 2.0 - 1.0]


@given(seed=st.integers(0, 10_000), lam=st.floats(0, 1))
def test_lambda_return_is_gae_plus_value(seed: int, lam: float) -> None:
    rollout = random_rollout(seed)
    value = rollout.pop("value")
    target = lambda_return(**rollout, td_lambda=lam)
    torch.testing.assert_close(gae(**rollout, value=value, gae_lambda=lam) + value, target)


@given(seed=st.integers(0, 10_000))
def test_n_step_return_meets_its_neighbours(seed: int) -> None:
    rollout = random_rollout(seed)
    rollout.pop("value")
    torch.testing.assert_close(n_step_return(**rollout, n=1), lambda_return(**rollout, td_lambda=0.0))
    torch.testing.assert_close(n_step_return(**rollout, n=12), lambda_return(**rollout, td_lambda=1.0))


@given(seed=st.integers(0, 10_000))
def test_vtrace_on_policy_is_the_n_step_return(seed: int) -> None:
    rollout = random_rollout(seed)
    target, advantage = vtrace(torch.zeros_like(rollout["reward"]), **rollout)
    value = rollout.pop("value")
    full = lambda_return(**rollout, td_lambda=1.0)
    torch.testing.assert_close(target, full)
    torch.testing.assert_close(advantage, full - value)
    target, advantage = vtrace(torch.zeros_like(value), **rollout, value=value, trace_lambda=0.7)
    torch.testing.assert_close(target, lambda_return(**rollout, td_lambda=0.7))
    error = rollout["reward"] + rollout["discount"] * rollout["next_value"] - value
    # Of the errors after its own, GAE gives 0.7 times as much as V-trace.
    gaes = gae(**rollout, value=value, gae_lambda=0.7)
    torch.testing.assert_close(gaes - error, 0.7 * (advantage - error))


@pytest.mark.parametrize("gae_lambda", [0.0, 0.8, 1.0])
def test_gae_agrees_with_stable_baselines3(gae_lambda: float) -> None:
    from gymnasium import spaces
    from stable_baselines3.common.buffers import RolloutBuffer

    horizon, num_envs, gamma = 16, 4, 0.97
    rng = np.random.default_rng(7)
    buffer = RolloutBuffer(
        horizon, spaces.Box(-1, 1, (2,)), spaces.Discrete(2), gae_lambda=gae_lambda, gamma=gamma, n_envs=num_envs
    )
    reward, value = rng.normal(size=(horizon, num_envs)), rng.normal(size=(horizon + 1, num_envs))
    terminated = rng.random((horizon, num_envs)) < 0.2
    starts = np.vstack([np.ones((1, num_envs)), terminated])
    for t in range(horizon):
        buffer.add(
            np.zeros((num_envs, 2)),
            np.zeros(num_envs),
            reward[t],
            starts[t],
            torch.from_numpy(value[t]),
            torch.zeros(num_envs),
        )
    buffer.compute_returns_and_advantage(torch.from_numpy(value[-1]).float(), terminated[-1])
    ours = gae(
        reward=torch.from_numpy(reward).float(),
        discount=gamma * torch.from_numpy(~terminated).float(),
        value=torch.from_numpy(value[:-1]).float(),
        next_value=torch.from_numpy(value[1:]).float(),
        continues=torch.from_numpy(~terminated).float(),
        gae_lambda=gae_lambda,
    )
    np.testing.assert_allclose(ours.numpy(), buffer.advantages, rtol=1e-5, atol=1e-5)
