"""The actor: densities of its actions, and the noise that it explores by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.policies.actor import Actor, ActorConfig
from tests.support.transitions import BOX, NETWORK, OBS, make_actor, make_batch, squashed
from training.errors import UserError
from training.seeding import generator


def test_sacs_actions_and_their_densities_are_those_of_a_gaussian_pressed_through_tanh() -> None:
    policy, batch = make_actor(), make_batch(discrete=False)
    action, log_prob = policy.reparametrized(batch, batch["next_noise"])
    mean, log_std = policy.params(batch).chunk(2, -1)
    torch.testing.assert_close(action, (mean + log_std.clamp(-20, 2).exp() * batch["next_noise"]).tanh())
    inside = action.clamp(-1 + 1e-6, 1 - 1e-6)
    torch.testing.assert_close(log_prob, squashed(policy, batch["obs"]).log_prob(inside), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(policy.log_prob(batch | {"action": action}), log_prob, rtol=1e-3, atol=1e-3)


def test_ornstein_uhlenbeck_noise_remembers_within_an_episode() -> None:
    config = ActorConfig(network=NETWORK, distribution="deterministic", noise_kind="ornstein_uhlenbeck", noise_std=0.01)
    policy = Actor(OBS, BOX, config, generator(1))
    obs = np.zeros((2, 3), np.float32)
    greedy, _ = policy.acting("greedy", 2)({"obs": obs}, {}, {})
    noise = policy.noise((4, 2), generator(2))
    act, state, left = policy.acting("explore", 2), {}, np.zeros((2, 2))
    first = np.array([[True, True], [False, False], [False, True], [False, False]])
    for t in range(4):
        step = {"obs": obs, "is_first": first[t]}
        action, state = act(step, state, {key: value[t] for key, value in noise.items()})
        left = np.where(first[t][:, None], 0, 0.85 * left) + 0.01 * noise["action"][t]
        np.testing.assert_allclose(action["action"] - greedy["action"], left, atol=1e-6)


def test_state_dependent_noise_is_one_function_for_some_steps_and_as_likely_as_it_is_said() -> None:
    config = ActorConfig(
        network=NETWORK, distribution="state_dependent", state_dependent_env_steps=3, state_dependent_log_std=-1.0
    )
    policy = make_actor(config)
    obs = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)
    act, state = policy.acting("explore", 2), {}
    noise, actions = policy.noise((7, 2), generator(2)), []
    for t in range(7):
        step = {"obs": obs, "is_first": np.array([t == 0, t in (0, 2)])}
        action, state = act(step, state, {key: value[t] for key, value in noise.items()})
        actions.append(action["action"])
    same = [[bool((actions[t][n] == actions[t - 1][n]).all()) for t in range(1, 7)] for n in range(2)]
    assert same == [[True, True, False, True, True, False], [True, False, True, True, False, True]]
    rows = 20_000
    step = {"obs": np.tile(obs[:1], (rows, 1)), "is_first": np.ones(rows, bool)}
    drawn, _ = policy.acting("explore", rows)(step, {}, policy.noise((rows,), generator(3)))
    mean, log_std = policy.params({"obs": torch.from_numpy(obs[:1])})[0].detach().chunk(2)
    before = np.arctanh(np.clip(drawn["action"], -1 + 1e-6, 1 - 1e-6))
    np.testing.assert_allclose(before.mean(0), mean, atol=0.05 * float(log_std.exp().max()))
    np.testing.assert_allclose(before.std(0), log_std.exp(), rtol=0.03)


def test_state_dependent_means_are_bounded_and_led_back() -> None:
    policy = make_actor(ActorConfig(network=NETWORK, distribution="state_dependent"))
    with torch.no_grad():
        policy.last.bias.copy_(torch.tensor([50.0, -50.0]))
    batch = make_batch(discrete=False)
    mean, _ = policy.params(batch).chunk(2, -1)
    assert torch.equal(mean, torch.tensor([2.0, -2.0]).expand(6, 2))
    greedy, _ = policy.acting("greedy", 6)({"obs": batch["obs"].numpy()}, {}, {})
    np.testing.assert_allclose(greedy["action"], mean.detach().tanh())
    mean.square().sum().backward()
    assert policy.last.bias.grad is not None
    assert (policy.last.bias.grad * policy.last.bias > 0).all(), "down the gradient is the way back"


def test_a_state_dependent_deviation_beyond_its_bound_is_led_back() -> None:
    policy = make_actor(ActorConfig(network=NETWORK, distribution="state_dependent"))
    with torch.no_grad():
        policy.log_std.fill_(2.1)
    _, log_std = policy.params(make_batch(discrete=False)).chunk(2, -1)
    log_std.sum().backward()  # down this a deviation gets smaller
    assert policy.log_std.grad is not None
    assert (policy.log_std.grad > 0).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_std": -1.0}, "noise_std = -1.0: it takes a number of at least 0"),
        ({"noise_return_rate": 0.0}, "noise_return_rate = 0.0: it takes a number above 0, up to 1"),
        ({"state_dependent_env_steps": 0}, "state_dependent_env_steps = 0: it takes at least 1"),
    ],
)
def test_impossible_values_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ActorConfig(**changes)


def test_an_unbounded_box_is_refused() -> None:
    with pytest.raises(
        UserError, match="an actor takes Discrete or a Box of floats, of at least one dimension, with bounds"
    ):
        make_actor(space=spaces.Box(-np.inf, np.inf, (2,), np.float32))
