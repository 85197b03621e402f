"""PPO's kernel in C++ against PPO in torch: the same parameters, moments and measures after the same updates."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import Space, spaces
from torch import Tensor

from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.ppo import PPO, PPOConfig
from agents.updates import ppo_kernel
from training.core import Batch, Budget, Counters
from training.metrics import Metrics
from training.networks import NetworkConfig
from training.optimizer import Loss, OptimizerConfig, Rule, Schedule
from training.optimizer.non_finite import NonFinite
from training.seeding import generator

SEEN = spaces.Box(-np.inf, np.inf, (5,), np.float32)
CHOICE = spaces.Discrete(3)
TORQUES = spaces.Box(-1.0, 1.0, (2,), np.float32)
HORIZON, NUM_ENVS = 24, 4
PLAIN = PPOConfig(horizon=HORIZON, minibatch_size=32, epochs=3, entropy_coefficient=0.02)
NORMALIZING = ActorCriticConfig(normalize_observation=True)


def policy_of(action_space: Space[Any], config: ActorCriticConfig, seen: Space[Any] = SEEN) -> ActorCritic:
    policy = ActorCritic(seen, action_space, config, generator(3, "weights"))
    policy.has_kernels = True
    return policy


def make_rollout(policy: ActorCritic, *, masked: bool = False, seed: int = 0) -> Batch:
    """A rollout of random numbers with ends of both kinds, in which the policy's own noise has acted."""
    rng = torch.Generator().manual_seed(seed)
    leading = (HORIZON + 1, NUM_ENVS)
    seen = policy.observation_space
    if isinstance(seen, spaces.Discrete):
        obs = torch.randint(0, int(seen.n), leading, generator=rng)
    else:
        obs = torch.randn(*leading, *(seen.shape or ()), generator=rng)
    ends = torch.rand(HORIZON, NUM_ENVS, generator=rng)
    batch = {
        "obs": obs,
        "is_first": torch.zeros(leading, dtype=torch.bool),
        "reward": torch.randn(HORIZON, NUM_ENVS, generator=rng),
        "terminated": ends < 0.1,
        "truncated": ends > 0.9,
        "final_index": ((ends < 0.1) | (ends > 0.9)).nonzero(),
    }
    batch["final_obs"] = obs[1:][(ends < 0.1) | (ends > 0.9)]
    if isinstance(policy.action_space, spaces.Discrete):
        batch["action"] = torch.randint(0, int(policy.action_space.n), (HORIZON, NUM_ENVS), generator=rng)
    else:
        with torch.no_grad():
            mean = policy.actor(policy.actor_encoder(policy.normalized({"obs": obs[:-1]})))
            std = policy.heads.log_std["action"].clamp(-20, 2).exp()
            batch["action"] = mean + std * torch.randn(*mean.shape, generator=rng)
    if masked:
        mask = torch.rand(*leading, 3, generator=rng) < 0.6
        mask[:-1].scatter_(-1, batch["action"].unsqueeze(-1), value=True)
        batch["action_mask"], batch["final_action_mask"] = mask, mask[1:][(ends < 0.1) | (ends > 0.9)]
    return batch


def updated(
    action_space: Space[Any],
    config: ActorCriticConfig,
    agent: PPOConfig,
    *,
    compiled: bool,
    masked: bool = False,
    seen: Space[Any] = SEEN,
    updates: int = 3,
) -> tuple[PPO, list[Metrics]]:
    agent = replace(agent, optimizer=replace(agent.optimizer, compile=compiled))
    ppo = PPO(policy_of(action_space, config, seen), agent, until=Budget(10_000, "env_steps"), seed=5)
    assert ppo.has_kernel(ppo.policy, agent)
    measured = []
    for index in range(updates):
        rollout = make_rollout(ppo.policy, masked=masked, seed=index)
        if agent.epochs == 1:  # rows of which some are no samples: the last minibatch is smaller
            rollout["valid"] = torch.ones_like(rollout["reward"], dtype=torch.bool)
            rollout["valid"][3, 1] = rollout["valid"][5, 0] = False
        now = Counters(updates=index, env_steps=100 * index, samples=100 * index)
        measured.append(ppo.update(rollout, now)[0])
    return ppo, measured


def numbers_of(metrics: Metrics) -> dict[str, tuple[float, float]]:
    return {key: (float(metric.value), getattr(metric, "weight", 1.0)) for key, metric in metrics.items()}


@pytest.mark.parametrize(
    ("action_space", "config", "agent", "kwargs"),
    [
        (CHOICE, ActorCriticConfig(), PLAIN, {}),
        (CHOICE, ActorCriticConfig(), PLAIN, {"masked": True}),
        (TORQUES, ActorCriticConfig(), PLAIN, {}),
        (TORQUES, NORMALIZING, PLAIN, {}),
        (TORQUES, ActorCriticConfig(initial_log_std=2.0), replace(PLAIN, entropy_coefficient=0.5), {}),
        (CHOICE, ActorCriticConfig(NetworkConfig((16,), "relu")), PLAIN, {}),
        (TORQUES, ActorCriticConfig(NetworkConfig((7, 33, 50), "relu")), PLAIN, {}),
        (CHOICE, ActorCriticConfig(NetworkConfig(())), PLAIN, {}),
        (CHOICE, ActorCriticConfig(NetworkConfig((17,))), PLAIN, {"seen": spaces.Discrete(6)}),
        (CHOICE, ActorCriticConfig(), replace(PLAIN, normalize_advantage=False, value_coefficient=0.0), {}),
        (CHOICE, ActorCriticConfig(), replace(PLAIN, epochs=1), {}),
        (CHOICE, ActorCriticConfig(), replace(PLAIN, target_kl=1e-4), {}),
        (CHOICE, ActorCriticConfig(), replace(PLAIN, clip_range=0.01, clip_schedule=Schedule("linear")), {}),
        (
            CHOICE,
            ActorCriticConfig(),
            replace(
                PLAIN, optimizer=OptimizerConfig(learning_rate=3e-3, betas=(0.8, 0.95), schedule=Schedule("linear"))
            ),
            {},
        ),
    ],
)
def test_it_computes_what_torch_computes(
    action_space: Space[Any], config: ActorCriticConfig, agent: PPOConfig, kwargs: dict[str, Any]
) -> None:
    own, measured = updated(action_space, config, agent, compiled=True, **kwargs)
    plain, expected = updated(action_space, config, agent, compiled=False, **kwargs)
    for (name, value), other in zip(own.policy.named_parameters(), plain.policy.parameters(), strict=True):
        torch.testing.assert_close(value, other, rtol=1e-4, atol=3e-6, msg=name)
    moments, others = (ppo.state_dict()["optimizer"]["moments"] for ppo in (own, plain))
    for name, kept in moments.items():
        assert kept["step"] == others[name]["step"]
        for kind in ("exp_avg", "exp_avg_sq"):
            torch.testing.assert_close(kept[kind], others[name][kind], rtol=1e-3, atol=1e-6, msg=f"{kind} of {name}")
    for metrics, others in zip(measured, expected, strict=True):
        ours, theirs = numbers_of(metrics), numbers_of(others)
        assert ours.keys() == theirs.keys()
        for name, (value, weight) in ours.items():
            assert (value, weight) == pytest.approx(theirs[name], rel=1e-3, abs=1e-5), name


@pytest.mark.parametrize("beyond", [3.0, -21.0])
def test_a_deviation_beyond_its_bounds_finds_back(beyond: float) -> None:
    """As `training.networks.bounds` has it: a gradient passes only where it leads back."""
    moved = []
    for compiled in (True, False):
        agent = replace(PLAIN, optimizer=replace(PLAIN.optimizer, compile=compiled))
        ppo = PPO(policy_of(TORQUES, ActorCriticConfig()), agent, until=Budget(1, "env_steps"), seed=5)
        log_std = ppo.policy.heads.log_std["action"]
        with torch.no_grad():
            log_std.copy_(torch.tensor([beyond, 0.5]))
        ppo.update(make_rollout(ppo.policy), Counters())
        moved.append(log_std.detach().clone())
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-4, atol=1e-6)


def test_values_and_log_probabilities_are_torchs_on_any_leading_shape() -> None:
    for space in (CHOICE, TORQUES):
        ppo, _ = updated(space, ActorCriticConfig(), PLAIN, compiled=True, updates=1)
        kernel, batch = ppo._kernel, make_rollout(ppo.policy)
        assert kernel is not None
        with torch.no_grad():
            torch.testing.assert_close(kernel.value(batch), ppo.policy.value(batch), rtol=1e-4, atol=1e-5)
            seen = {"obs": batch["obs"][:-1], "action": batch["action"]}
            torch.testing.assert_close(kernel.log_prob(seen), ppo.policy.log_prob(seen), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("space", [CHOICE, TORQUES])
@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_what_is_not_finite_ends_the_run_as_in_torch_and_changes_no_parameter(bad: float, space: Space[Any]) -> None:
    said = []
    for compiled in (True, False):
        agent = replace(PLAIN, optimizer=replace(PLAIN.optimizer, compile=compiled))
        ppo = PPO(policy_of(space, ActorCriticConfig()), agent, until=Budget(10_000, "env_steps"), seed=5)
        before = {name: value.detach().clone() for name, value in ppo.policy.named_parameters()}
        rollout = make_rollout(ppo.policy)
        rollout["reward"][:] = bad
        with pytest.raises(NonFinite) as raised:
            ppo.update(rollout, Counters(updates=6))
        said.append(str(raised.value))
        for name, value in ppo.policy.named_parameters():
            assert torch.equal(value, before[name]), name
    assert said[0] == said[1]


def test_it_goes_on_with_moments_that_were_loaded() -> None:
    ppo, _ = updated(CHOICE, ActorCriticConfig(), PLAIN, compiled=True)
    other, _ = updated(CHOICE, ActorCriticConfig(), PLAIN, compiled=True, updates=1)
    other.load_state_dict(ppo.state_dict())
    for one in (ppo, other):
        one.update(make_rollout(one.policy, seed=9), Counters(updates=3))
    for value, same in zip(ppo.policy.parameters(), other.policy.parameters(), strict=True):
        assert torch.equal(value, same)


def with_optimizer(**fields: Any) -> PPOConfig:
    return replace(PLAIN, optimizer=replace(PLAIN.optimizer, **fields))


@pytest.mark.parametrize(
    ("action_space", "config", "agent"),
    [
        (spaces.MultiDiscrete([2, 3]), ActorCriticConfig(), PLAIN),
        (spaces.Dict({"move": CHOICE}), ActorCriticConfig(), PLAIN),
        (TORQUES, ActorCriticConfig(squash=True), PLAIN),
        (CHOICE, ActorCriticConfig(NetworkConfig(activation="silu")), PLAIN),
        (CHOICE, ActorCriticConfig(NetworkConfig(layer_norm=True)), PLAIN),
        (CHOICE, ActorCriticConfig(NetworkConfig((64, 1024))), PLAIN),
        (CHOICE, ActorCriticConfig(), with_optimizer(kind="adamw", weight_decay=0.1)),
        (CHOICE, ActorCriticConfig(), with_optimizer(weight_decay=0.1)),
        (CHOICE, ActorCriticConfig(), with_optimizer(rules=(Rule("actor*", learning_rate=0.1), Rule("*")))),
        (CHOICE, ActorCriticConfig(), with_optimizer(on_non_finite="skip")),
        (CHOICE, ActorCriticConfig(), with_optimizer(ema_decay=0.9)),
        (CHOICE, ActorCriticConfig(), replace(PLAIN, objective="spo")),
        (CHOICE, ActorCriticConfig(), replace(PLAIN, clip_range_above=0.3)),
    ],
)
def test_it_leaves_to_torch_what_it_does_not_know(
    action_space: Space[Any], config: ActorCriticConfig, agent: PPOConfig
) -> None:
    assert not ppo_kernel.takes(policy_of(action_space, config), agent, agent.optimizer)


def test_images_are_left_to_torch() -> None:
    image = spaces.Box(0, 255, (36, 36, 3), np.uint8)
    assert not ppo_kernel.takes(policy_of(CHOICE, ActorCriticConfig(), image), PLAIN, PLAIN.optimizer)


def test_weights_of_another_precision_are_left_to_torch() -> None:
    assert not ppo_kernel.takes(policy_of(CHOICE, ActorCriticConfig()).double(), PLAIN, PLAIN.optimizer)


class WithAnotherLoss(PPO):
    """Somebody's own."""

    def _loss(self, batch: Batch) -> Loss:
        return super()._loss(batch)


def test_a_subclass_with_another_loss_is_left_to_torch() -> None:
    policy = policy_of(CHOICE, ActorCriticConfig())
    assert PPO.has_kernel(policy, PLAIN)
    assert not WithAnotherLoss.has_kernel(policy, PLAIN)


def test_a_ratio_beyond_all_numbers_ends_the_run_as_in_torch() -> None:
    for compiled in (True, False):
        agent = replace(PLAIN, optimizer=replace(PLAIN.optimizer, compile=compiled))
        ppo = PPO(policy_of(TORQUES, ActorCriticConfig()), agent, until=Budget(1, "env_steps"), seed=5)
        data = ppo._with_targets(make_rollout(ppo.policy))
        data["log_prob"] = data["log_prob"] - 200
        rows = [torch.arange(32)]
        step: Any = partial(ppo._optimizer.step, ppo._loss, data, Counters(), rows[0], ppo._prepare)
        if compiled:
            assert ppo._kernel is not None
            step = partial(ppo._kernel.steps, data, rows, Counters(), 0.2)
        with pytest.raises(NonFinite):
            step()


def test_several_threads_are_left_to_torch() -> None:
    threads = torch.get_num_threads()
    try:
        for count in (2, 1):
            torch.set_num_threads(count)
            agent = with_optimizer(compile=True)
            ppo = PPO(policy_of(CHOICE, ActorCriticConfig()), agent, until=Budget(1, "env_steps"), seed=5)
            assert (ppo._kernel is not None) == (count == 1)
    finally:
        torch.set_num_threads(threads)


def test_its_tanh_is_right_to_the_last_bits() -> None:
    """Through a network of one hidden unit, from values near 0 to where tanh is 1."""
    config = ActorCriticConfig(NetworkConfig((1,)))
    ppo, _ = updated(
        CHOICE, config, PLAIN, compiled=True, updates=1, seen=spaces.Box(-np.inf, np.inf, (1,), np.float32)
    )
    with torch.no_grad():
        for layer, weight in ((ppo.policy.critic[0], 1.0), (ppo.policy.critic[2], 1.0)):
            layer.weight.fill_(weight)
            layer.bias.zero_()
    x = torch.cat([torch.linspace(-20, 20, 4001), torch.logspace(-8, 0, 100)])
    kernel = ppo._kernel
    assert kernel is not None
    off: Tensor = (kernel.value({"obs": x[:, None]}).double() - x.double().tanh()).abs()
    assert float(off.max()) < 5e-7
    assert float((off / x.double().tanh().abs().clamp(min=1e-30)).nan_to_num().max()) < 2e-6
