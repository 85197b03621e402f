"""Policies over every kind of space: each row stands for itself, actions stay in bounds, what is saved is what acts."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.saved import build_policy, policy_of
from agents.ppo import PPO, PPOConfig
from envs.spaces import flatten, leaves
from envs.vectors.vector import named
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.seeding import generator

SMALL = ActorCriticConfig(network=NetworkConfig(hidden=(8,), cnn="small"), initial_log_std=-0.5)

ACTION_SPACES: dict[str, gym.Space[Any]] = {
    "discrete": spaces.Discrete(3, start=-1),
    "multi_discrete": spaces.MultiDiscrete([2, 3]),
    "multi_discrete_2d": spaces.MultiDiscrete(np.array([[2, 3], [4, 2]])),
    "multi_binary": spaces.MultiBinary(3),
    "multi_binary_2d": spaces.MultiBinary([2, 3]),
    "box": spaces.Box(-0.1, 0.1, (2,), np.float64),
    "box_without_dimension": spaces.Box(-2.0, 3.0, ()),
    "box_2d": spaces.Box(-1, 1, (2, 2)),
    "unbounded": spaces.Box(-np.inf, np.inf, (2,)),
    "nested": spaces.Dict(
        {"a": spaces.Discrete(2), "/b": spaces.Box(0, 1, (1,)), "c": spaces.Tuple([spaces.MultiBinary(2)])}
    ),
}


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("name", ACTION_SPACES)
def test_a_row_is_evaluated_alone_as_in_its_batch(name: str, squash: bool) -> None:
    policy = make_policy(ACTION_SPACES[name], replace(SMALL, squash=squash))
    batch: Batch = {"obs": torch.randn(6, 3, generator=generator(1))}
    drawn, _ = policy.acting("explore", 6)({"obs": batch["obs"].numpy()}, {}, policy.noise((6,), generator(2)))
    action = {key: torch.from_numpy(value) for key, value in drawn.items()}
    together = policy.evaluate(batch | action)
    for row in range(6):
        alone = policy.evaluate({key: value[row : row + 1] for key, value in (batch | action).items()})
        for whole, one in zip(together, alone, strict=True):
            assert one.shape == (1,)
            torch.testing.assert_close(one[0], whole[row])


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("mode", ["explore", "greedy"])
@pytest.mark.parametrize("name", ACTION_SPACES)
def test_acting_is_what_the_modules_compute(name: str, mode: Any, normalized: bool) -> None:
    """A few rows are computed by NumPy, many by torch's modules; both follow the weights."""
    policy = make_policy(ACTION_SPACES[name], replace(SMALL, normalize_observation=normalized))
    for rows in (6, 20_000):
        obs = torch.randn(rows, 3, generator=generator(1))
        noise = policy.noise((rows,), generator(2))
        for acting in (policy, copy.deepcopy(policy)):
            action, _ = acting.acting(mode, rows)({"obs": obs.numpy()}, {}, noise)
            with torch.no_grad():
                seen = {key: normalizer(obs) for key, normalizer in policy.normalizers.items()} or {"obs": obs}
                params = policy.heads.params(policy.actor(policy.actor_encoder(seen)))
                arrays = {key: value.numpy() for key, value in params.items()}
            expected = policy.heads.sample(arrays, noise) if mode == "explore" else policy.heads.mode(arrays)
            for key, value in expected.items():
                assert action[key].dtype == value.dtype
                assert action[key].shape == value.shape
                # Of the many rows, a discrete choice may be so close that the last bit decides.
                same = np.isclose(action[key], value, rtol=1e-4, atol=1e-5)
                assert same.mean() > 0.9999 if rows > 6 else same.all(), key
        policy.update_normalizers({"obs": obs})
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.mul_(1.5)


@pytest.mark.parametrize("rows", [4, 20_000])
def test_masks_forbid_actions_in_both_ways_of_acting(rows: int) -> None:
    policy = make_policy(spaces.Discrete(3))
    step = {"obs": np.ones((rows, 3), np.float32), "action_mask": np.tile([True, False, True], (rows, 1))}
    modes: tuple[Any, ...] = ("explore", "greedy", "random")
    for mode in modes:
        action, _ = policy.acting(mode, rows)(step, {}, policy.noise((rows,), generator(2)))
        assert set(np.unique(action["action"])) <= {0, 2}


@pytest.mark.parametrize("mode", ["explore", "greedy", "random"])
@pytest.mark.parametrize("name", ACTION_SPACES)
def test_actions_belong_to_the_environments_space(name: str, mode: Any) -> None:
    space = ACTION_SPACES[name]
    policy = make_policy(space, replace(SMALL, initial_log_std=1.0))
    step = {"obs": torch.randn(20, 3, generator=generator(1)).numpy()}
    action = policy.env_action(policy.acting(mode, 20)(step, {}, policy.noise((20,), generator(2)))[0])
    for row in range(20):
        for leaf in leaves(space):
            value = leaf.decode(action[named("action", leaf.name)][row])
            assert leaf.space.contains(value) or value in leaf.space, (leaf, value)
    for _ in range(20):
        predicted = policy.predict(np.ones(3, np.float32), greedy=mode == "greedy")
        assert space.contains(predicted)
        flatten(leaves(space), predicted)


def test_a_mask_is_obeyed_by_predict_and_in_low_precision() -> None:
    policy = make_policy(spaces.Discrete(3))
    mask = np.array([False, False, True])
    assert {policy.predict(np.ones(3, np.float32), greedy=False, action_mask=mask) for _ in range(20)} == {2}
    with torch.autocast("cpu", torch.float16):
        batch = {
            "obs": torch.ones(2, 3),
            "action": torch.tensor([2, 2]),
            "action_mask": torch.from_numpy(np.array([mask, mask])),
        }
        log_prob, entropy, value = policy.evaluate(batch)
    assert log_prob.dtype == entropy.dtype == value.dtype == torch.float32
    torch.testing.assert_close(log_prob, torch.zeros(2))


@pytest.mark.parametrize("shared", [True, False])
def test_all_averaged_weights_are_loaded_and_none_other(shared: bool) -> None:
    space = spaces.Dict({"picture": spaces.Box(0, 255, (8, 8, 1), np.uint8), "number": spaces.Box(-1, 1, (1,))})
    policy = ActorCritic(space, spaces.Discrete(2), replace(SMALL, shared_encoder=shared), generator(1))
    config = PPOConfig(minibatch_size=4, optimizer=OptimizerConfig(learning_rate=0.1, ema_decay=0.5))
    agent = PPO(policy, config, until=Budget(10), seed=1)
    rng = generator(2)
    batch = {
        "obs/picture": torch.randint(0, 256, (5, 2, 8, 8, 1), generator=rng, dtype=torch.uint8),
        "obs/number": torch.randn(5, 2, 1, generator=rng),
        "action": torch.randint(0, 2, (4, 2), generator=rng),
        "reward": torch.randn(4, 2, generator=rng),
        "terminated": torch.zeros(4, 2, dtype=torch.bool),
        "truncated": torch.zeros(4, 2, dtype=torch.bool),
        "final_index": torch.zeros(0, 2, dtype=torch.int64),
    }
    agent.update(batch, Counters())
    state = agent.state_dict()
    loaded = dict(policy_of(state).named_parameters())
    averages = state["optimizer"]["averages"]
    assert averages.keys() == loaded.keys()
    for key, value in loaded.items():
        assert torch.equal(value, averages[key]), key
        assert not torch.equal(value, dict(policy.named_parameters())[key]), key


def test_a_part_whose_name_has_a_dot_is_refused() -> None:
    with pytest.raises(UserError, match=r"'a\.b' has a dot in its name"):
        leaves(spaces.Dict({"a.b": spaces.Discrete(2)}))


def test_a_log_std_out_of_range_is_refused() -> None:
    with pytest.raises(UserError, match="initial_log_std = nan: it takes -20 to 2"):
        ActorCriticConfig(initial_log_std=float("nan"))


def make_policy(action_space: gym.Space[Any], config: ActorCriticConfig = SMALL) -> ActorCritic:
    return ActorCritic(spaces.Box(-1, 1, (3,)), action_space, config, generator(1))


def test_a_saved_policy_is_built_from_its_name_alone() -> None:
    policy = ActorCritic(spaces.Box(-1.0, 1.0, (2,)), spaces.Discrete(2), SMALL, generator(1, "weights"))
    built = build_policy(policy.save())
    assert type(built) is ActorCritic
    assert built.config == SMALL


@pytest.mark.parametrize(
    "kind",
    ["Nothing", "NetworkPolicy", "Critics", "PPO", "ActorCriticConfig", "os.path", "Actor(NetworkPolicy):\n", ""],
)
def test_only_a_policy_of_this_package_is_built(kind: str) -> None:
    saved = ActorCritic(spaces.Box(-1.0, 1.0, (2,)), spaces.Discrete(2), SMALL, generator(1, "weights")).save()
    with pytest.raises(UserError, match=r"the saved policy is a .*: it takes a class of agents/"):
        build_policy(saved | {"kind": kind})
