"""Targets, losses and exploration of the off-policy algorithms, each against its equation written out."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor
from torch.distributions import Categorical, Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from agents.c51 import c51_target, project
from agents.ddpg import DDPG, DDPGConfig
from agents.dqn import dqn_values
from agents.policies.actor import Actor, ActorConfig
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.qr_dqn import qr_dqn_target
from agents.sac_discrete import discrete_soft_target
from agents.td3_bc import TD3BC, TD3BCConfig
from agents.tqc import truncated_target
from agents.updates.critics import Critics, DiscreteCritics
from agents.updates.deterministic import smoothed_target
from agents.updates.losses import quantile_huber
from agents.updates.q_learning import EpsilonConfig
from agents.updates.soft import soft_target
from agents.updates.targets import copy_weights, follower, frozen_copy
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.networks import MLP, Dueling, EnsembleMLP, NetworkConfig, NoisyLinear
from training.optimizer import OptimizerConfig
from training.seeding import generator

NETWORK = NetworkConfig(hidden=(8, 8), activation="relu")
OBS = spaces.Box(-1, 1, (3,), np.float32)
BOX = spaces.Box(-2, 2, (2,), np.float32)
Q = QNetworkConfig(network=NETWORK)
KINDS = {
    "plain": Q,
    "dueling": replace(Q, dueling=True),
    "noisy": replace(Q, noisy_std=0.5),
    "dueling-noisy": replace(Q, dueling=True, noisy_std=0.5),
    "categorical": replace(Q, distribution="categorical", atoms=7, value_range=(-3.0, 5.0)),
    "quantile": replace(Q, distribution="quantile", atoms=5, normalize_observation=True),
}


def make_q(config: QNetworkConfig = Q, seed: int = 1) -> QNetwork:
    policy = QNetwork(OBS, spaces.Discrete(3), config, generator(seed))
    return spread(policy)


def make_actor(config: ActorConfig | None = None, space: Any = BOX) -> Actor:
    config = ActorConfig(network=NETWORK) if config is None else config
    return spread(Actor(OBS, space, config, generator(1)))


def spread(module: Any) -> Any:
    """Away from the small initial outputs, so that differences show."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator(5)))
    return module


def make_batch(*, discrete: bool, size: int = 6) -> Batch:
    rng = generator(3)
    action = torch.randint(3, (size,), generator=rng) if discrete else torch.rand(size, 2, generator=rng) * 2 - 1
    return {
        "obs": torch.randn(size, 3, generator=rng),
        "next_obs": torch.randn(size, 3, generator=rng),
        "action": action,
        "reward": torch.randn(size, generator=rng),
        "discount": torch.tensor([0.9, 0.0] * (size // 2)),
        "next_noise": torch.randn(size, 2, generator=rng),
    }


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("double", [False, True])
def test_dqn_learns_the_value_of_the_best_next_action(double: bool, masked: bool) -> None:
    policy, target, batch = make_q(seed=1), make_q(seed=2), make_batch(discrete=True)
    if masked:
        batch["next_action_mask"] = torch.tensor([[True, False, True]] * 6)
    value, goal = dqn_values(policy, target, batch, double=double)
    for row in range(6):
        obs, next_obs = batch["obs"][row : row + 1], batch["next_obs"][row : row + 1]
        online, later = policy({"obs": next_obs})[0, :, 0], target({"obs": next_obs})[0, :, 0]
        allowed = [0, 2] if masked else [0, 1, 2]
        chosen_by = (online if double else later).detach()
        best = max(allowed, key=lambda action: float(chosen_by[action]))
        expected = batch["reward"][row] + batch["discount"][row] * later[best]
        torch.testing.assert_close(goal[row], expected)
        torch.testing.assert_close(value[row], policy({"obs": obs})[0, batch["action"][row], 0])
    assert not goal.requires_grad


def test_the_projection_is_algorithm_1_of_the_paper() -> None:
    """Bellemare et al. 2017: each probability goes to the two atoms next to its place, by nearness."""
    rng, support = generator(2), torch.linspace(-3, 5, 9)
    probability = torch.rand(4, 9, generator=rng).softmax(-1)
    returns = (torch.randn(4, 9, generator=rng) * 4).clamp(-3, 5)
    expected = torch.zeros(4, 9)
    for row in range(4):
        for atom in range(9):
            place = float(returns[row, atom] - support[0]) / float(support[1] - support[0])
            low, high = math.floor(place), math.ceil(place)
            if low == high:
                expected[row, low] += probability[row, atom]
            else:
                expected[row, low] += probability[row, atom] * (high - place)
                expected[row, high] += probability[row, atom] * (place - low)
    found = project(returns, probability, support)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.sum(-1), torch.ones(4))
    torch.testing.assert_close((found * support).sum(-1), (probability * returns).sum(-1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("double", [False, True])
def test_distributional_targets_are_those_of_the_best_mean(double: bool) -> None:
    for kind in ("categorical", "quantile"):
        policy, target, batch = make_q(KINDS[kind], 1), make_q(KINDS[kind], 2), make_batch(discrete=True)
        chooser = policy if double else target
        best = chooser.values(chooser(batch, "next_")).argmax(-1)
        own = target(batch, "next_")[torch.arange(6), best]
        if kind == "quantile":
            goal = qr_dqn_target(policy, target, batch, double=double)
            expected = batch["reward"][:, None] + batch["discount"][:, None] * own
        else:
            goal = c51_target(policy, target, batch, double=double)
            moved = batch["reward"][:, None] + batch["discount"][:, None] * policy.support
            expected = project(moved.clamp(-3, 5), own.softmax(-1), policy.support)
        torch.testing.assert_close(goal, expected)
        assert not goal.requires_grad


def test_the_quantile_loss_is_equation_10() -> None:
    rng = generator(4)
    quantiles, target = torch.randn(2, 3, generator=rng) * 2, torch.randn(2, 5, generator=rng) * 2
    expected = torch.zeros(2)
    for row in range(2):
        for i in range(3):
            tau = (i + 0.5) / 3
            for j in range(5):
                error = float(target[row, j] - quantiles[row, i])
                huber = 0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5
                expected[row] += abs(tau - (error < 0)) * huber / 5
    torch.testing.assert_close(quantile_huber(quantiles, target), expected)


DETERMINISTIC = ActorConfig(network=NETWORK, distribution="deterministic")
SGD = OptimizerConfig(kind="sgd", learning_rate=0.1)
BY_SGD: Any = {"critic_network": NETWORK, "actor_optimizer": SGD, "critic_optimizer": SGD}


def critics_then_actor(agent: DDPG | TD3BC, batch: Batch, *, members: int, actor_loss: Any) -> None:
    """One update by SGD against plain gradients, with targets that differ from what learns."""
    policy, critics = agent.policy, agent.critics
    target_policy, target = copy.deepcopy((policy, critics))
    spread(policy), spread(critics)
    expected_policy, expected_critics = copy.deepcopy((policy, critics))
    agent.update(dict(batch), Counters())
    obs, next_obs = {"obs": batch["obs"]}, {"obs": batch["next_obs"]}
    with torch.no_grad():
        later = target(next_obs, target_policy.action_of(next_obs)).squeeze(-1).amin(0)
        goal = batch["reward"] + batch["discount"] * later
    values = expected_critics(obs, batch["action"]).squeeze(-1)
    assert len(values) == members
    descend(expected_critics, sum((one - goal).square().mean() for one in values))
    action = expected_policy.action_of(obs)
    descend(expected_policy, actor_loss(action, expected_critics(obs, action)[0].squeeze(-1)))
    for found, expected in ((critics, expected_critics), (policy, expected_policy)):
        torch.testing.assert_close(found.state_dict(), expected.state_dict())


def descend(module: torch.nn.Module, loss: Any) -> None:
    for parameter, gradient in zip(
        module.parameters(), torch.autograd.grad(loss, list(module.parameters())), strict=True
    ):
        parameter.data -= 0.1 * gradient


def test_ddpgs_critic_learns_from_the_target_and_its_actor_climbs_the_critic() -> None:
    agent = DDPG(make_actor(DETERMINISTIC), DDPGConfig(**BY_SGD), until=Budget(9), seed=1, minibatch_size=6)
    batch = make_batch(discrete=False)
    critics_then_actor(agent, batch, members=1, actor_loss=lambda _, value: -value.mean())


def test_td3_bc_weighs_the_value_by_its_mean_size() -> None:
    config = TD3BCConfig(**BY_SGD, policy_delay=1, smoothing_std=0.0, value_weight=2.5)
    agent, batch = TD3BC(make_actor(DETERMINISTIC), config, until=Budget(9), seed=1), make_batch(discrete=False)

    def actor_loss(action: Tensor, value: Tensor) -> Tensor:
        weight = 2.5 / value.abs().mean().detach()
        return (action - batch["action"]).square().mean() - weight * value.mean()

    critics_then_actor(agent, batch, members=2, actor_loss=actor_loss)


def squashed(policy: Actor, obs: Tensor) -> TransformedDistribution:
    params = policy.params({"obs": obs})
    mean, log_std = params.chunk(2, -1)
    log_std = log_std.clamp(-20, 2)
    return TransformedDistribution(Independent(Normal(mean, log_std.exp()), 1), [TanhTransform(cache_size=1)])


def test_sacs_actions_and_their_densities_are_those_of_a_gaussian_pressed_through_tanh() -> None:
    policy, batch = make_actor(), make_batch(discrete=False)
    action, log_prob = policy.reparametrized(batch, batch["next_noise"])
    mean, log_std = policy.params(batch).chunk(2, -1)
    torch.testing.assert_close(action, (mean + log_std.clamp(-20, 2).exp() * batch["next_noise"]).tanh())
    inside = action.clamp(-1 + 1e-6, 1 - 1e-6)
    torch.testing.assert_close(log_prob, squashed(policy, batch["obs"]).log_prob(inside), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(policy.log_prob(batch | {"action": action}), log_prob, rtol=1e-3, atol=1e-3)


def test_the_soft_target_counts_the_smaller_value_and_the_entropy() -> None:
    policy, batch = make_actor(), make_batch(discrete=False)
    critics = spread(Critics(policy, NETWORK, generator(6), members=2))
    found = soft_target(policy, critics, torch.tensor(0.3), batch)
    action, log_prob = policy.reparametrized({"obs": batch["next_obs"]}, batch["next_noise"])
    values = critics({"obs": batch["next_obs"]}, action).squeeze(-1)
    expected = batch["reward"] + batch["discount"] * (torch.minimum(values[0], values[1]) - 0.3 * log_prob)
    torch.testing.assert_close(found, expected)
    assert not found.requires_grad
    assert torch.equal(found[1::2], batch["reward"][1::2]), "where an episode terminated nothing follows"


def test_the_discrete_soft_target_is_an_expectation_over_the_policy() -> None:
    policy, batch = make_actor(space=spaces.Discrete(3)), make_batch(discrete=True)
    critics = spread(DiscreteCritics(policy, NETWORK, generator(6), members=2))
    found = discrete_soft_target(policy, critics, torch.tensor(0.3), batch)
    distribution = Categorical(logits=policy.params(batch, "next_"))
    value = critics({"obs": batch["next_obs"]}).amin(0)
    soft = (distribution.probs * value).sum(-1) + 0.3 * distribution.entropy()
    torch.testing.assert_close(found, batch["reward"] + batch["discount"] * soft)


def test_td3s_target_is_smoothed_by_clipped_noise() -> None:
    config = ActorConfig(network=NETWORK, distribution="deterministic")
    policy, target_policy, batch = make_actor(config), make_actor(config), make_batch(discrete=False)
    critics = spread(Critics(policy, NETWORK, generator(6), members=2))
    batch["next_noise"][0] = torch.tensor([100.0, -100.0])
    found = smoothed_target(policy, target_policy, critics, batch, std=0.2, clip=0.5)
    noise = (0.2 * batch["next_noise"]).clamp(-0.5, 0.5)
    action = (target_policy.action({"obs": batch["next_obs"]}) + noise).clamp(-1, 1)
    value = critics({"obs": batch["next_obs"]}, action).squeeze(-1).amin(0)
    torch.testing.assert_close(found, batch["reward"] + batch["discount"] * value)


def test_tqc_drops_the_largest_of_all_critics_quantiles_together() -> None:
    policy, batch = make_actor(), make_batch(discrete=False)
    critics = spread(Critics(policy, NETWORK, generator(6), members=2, outputs=4))
    found = truncated_target(policy, critics, torch.tensor(0.3), 6, batch)
    action, log_prob = policy.reparametrized({"obs": batch["next_obs"]}, batch["next_noise"])
    quantiles = critics({"obs": batch["next_obs"]}, action)
    for row in range(6):
        kept = sorted(quantiles[:, row].flatten().tolist())[:6]
        expected = [
            float(batch["reward"][row] + batch["discount"][row] * (q - 0.3 * float(log_prob[row]))) for q in kept
        ]
        assert found[row].tolist() == pytest.approx(expected, abs=1e-5)


def test_targets_follow() -> None:
    online, target = make_q(seed=1), frozen_copy(make_q(seed=2))
    before = [p.clone() for p in target.parameters()]
    follower(target, online, 0.1)()
    for old, new, own in zip(before, target.parameters(), online.parameters(), strict=True):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * own)
        assert not new.requires_grad
    online.epsilon.fill_(0.3)
    copy_weights(target, online)
    for key, value in online.state_dict().items():
        assert torch.equal(target.state_dict()[key], value), key


@pytest.mark.parametrize("name", KINDS)
def test_acting_is_what_the_modules_compute(name: str) -> None:
    """A few rows are computed by NumPy, many by torch's modules."""
    policy = make_q(KINDS[name])
    policy.update_normalizers({"obs": torch.randn(50, 3, generator=generator(8)) * 3})
    policy.epsilon.fill_(0.0)
    for rows in (5, 40_000):
        obs = torch.randn(rows, 3, generator=generator(1))
        noise = policy.noise((rows,), generator(2))
        for draws in (False, True):
            if draws:
                policy.draw_noise(generator(9))
            action, _ = policy.acting("explore", rows)({"obs": obs.numpy()}, {}, noise)
            with torch.no_grad():
                expected = policy.values(policy({"obs": obs})).argmax(-1).numpy()
            assert (action["action"] == expected).mean() > 0.999
        if "noisy" in name:
            greedy, _ = policy.acting("greedy", rows)({"obs": obs.numpy()}, {}, {})
            quiet = make_q(KINDS[name])  # the same weights, whose noise was never drawn
            with torch.no_grad():
                expected = quiet.values(quiet({"obs": obs})).argmax(-1).numpy()
            assert (greedy["action"] == expected).mean() > 0.999
            assert rows == 5 or (greedy["action"] != action["action"]).any()


def test_epsilon_is_the_share_of_random_actions_and_masks_hold_for_them_too() -> None:
    policy = make_q()
    policy.epsilon.fill_(0.4)
    obs = np.zeros((30_000, 3), np.float32)
    noise = policy.noise((30_000,), generator(2))
    best = int(policy.acting("greedy", 1)({"obs": obs[:1]}, {}, {})[0]["action"][0])
    action, _ = policy.acting("explore", 30_000)({"obs": obs}, {}, noise)
    assert (action["action"] == best).mean() == pytest.approx(1 - 0.4 * 2 / 3, abs=0.01)
    anything, _ = policy.acting("random", 30_000)({"obs": obs}, {}, noise)
    assert np.bincount(anything["action"]) / 30_000 == pytest.approx(np.full(3, 1 / 3), abs=0.01)
    mask = np.tile([True, False, True], (30_000, 1))
    for mode in ("explore", "random", "greedy"):
        chosen, _ = policy.acting(mode, 30_000)({"obs": obs, "action_mask": mask}, {}, noise)  # type: ignore[arg-type]
        assert (chosen["action"] != 1).all()


def test_epsilon_falls_linearly_and_stays() -> None:
    epsilon = EpsilonConfig(initial=1.0, final=0.2, fraction=0.5)
    assert [epsilon.at(spent) for spent in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert EpsilonConfig(initial=1.0, final=0.2, fraction=0.0).at(0.0) == pytest.approx(0.2)
    with pytest.raises(UserError, match="final = 2: it takes a number from 0 to 1"):
        EpsilonConfig(final=2)


def test_a_noisy_layer_is_equations_9_to_11() -> None:
    layer = NoisyLinear(4, 3, 0.5, generator(1))
    values = torch.randn(5, 4, generator=generator(2))
    torch.testing.assert_close(layer(values), values @ layer.weight.T + layer.bias)
    layer.draw_noise(generator(3))
    rng = generator(3)
    drawn = [torch.randn(4, generator=rng), torch.randn(3, generator=rng)]
    noise_in, noise_out = (value.sign() * value.abs().sqrt() for value in drawn)
    weight = layer.weight + layer.weight_std * noise_out[:, None] * noise_in[None]
    torch.testing.assert_close(layer(values), values @ weight.T + layer.bias + layer.bias_std * noise_out)
    assert layer.weight_std.detach().numpy() == pytest.approx(0.5 / 2)


def test_dueling_advantages_have_mean_zero() -> None:
    network = spread(Dueling(3, NETWORK, generator(1), actions=4, atoms=2))
    values = torch.randn(6, 3, generator=generator(2))
    found = network(values).unflatten(-1, (4, 2))
    torch.testing.assert_close(found.mean(1), network.value(values))
    advantage = network.advantage(values).unflatten(-1, (4, 2))
    torch.testing.assert_close(found - found.mean(1, keepdim=True), advantage - advantage.mean(1, keepdim=True))


@pytest.mark.parametrize("outputs", [1, 2])
def test_an_ensemble_begins_as_separate_perceptrons_and_stays_separate(outputs: int) -> None:
    ensemble = EnsembleMLP(3, NETWORK, generator(1), members=2, outputs=outputs)
    rng = generator(1)
    apart = [MLP(3, NETWORK, rng, outputs=outputs) for _ in range(2)]
    values = torch.randn(6, 3, generator=generator(2))
    found = ensemble(values)
    assert found.shape == (2, 6, outputs)
    for member, network in enumerate(apart):
        torch.testing.assert_close(found[member], network(values))
    torch.testing.assert_close(ensemble(values, members=1), found[:1])
    found[0].sum().backward()
    moved = [parameter.grad for parameter in ensemble.parameters()]
    assert all(grad is None or grad.abs().sum() > 0 for grad in moved)
    with torch.no_grad():
        for parameter in ensemble.parameters():
            if parameter.grad is not None:
                parameter -= parameter.grad
    torch.testing.assert_close(ensemble(values)[1], found[1].detach())
    assert not torch.allclose(ensemble(values)[0], found[0])


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


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (QNetworkConfig, {"atoms": 5}, "atoms = 5: it takes 1 for the mean, otherwise at least 2"),
        (QNetworkConfig, {"distribution": "quantile"}, "atoms = 1: it takes 1 for the mean, otherwise at least 2"),
        (
            QNetworkConfig,
            {"distribution": "categorical", "atoms": 5},
            r"value_range = \(0.0, 0.0\): it takes the least",
        ),
        (QNetworkConfig, {"noisy_std": 0.0}, "noisy_std = 0.0: it takes a number above 0, or None"),
        (ActorConfig, {"noise_std": -1.0}, "noise_std = -1.0: it takes a number of at least 0"),
        (ActorConfig, {"noise_return_rate": 0.0}, "noise_return_rate = 0.0: it takes a number above 0, up to 1"),
        (ActorConfig, {"state_dependent_env_steps": 0}, "state_dependent_env_steps = 0: it takes at least 1"),
    ],
)
def test_impossible_values_are_named(config: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        config(**changes)


def test_an_unbounded_box_is_refused() -> None:
    with pytest.raises(
        UserError, match="an actor takes Discrete or a Box of floats, of at least one dimension, with bounds"
    ):
        make_actor(space=spaces.Box(-np.inf, np.inf, (2,), np.float32))
