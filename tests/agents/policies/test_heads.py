"""Action heads against torch.distributions, and what masks forbid."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import distributions

from agents.policies.heads import LOG_STD_RANGE, Head, Heads, SquashedGaussian, make_head
from training.errors import UserError

LOW, HIGH = LOG_STD_RANGE


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(head: Head, params: torch.Tensor) -> torch.Tensor:
    """One action for each row."""
    return torch.from_numpy(head.sample(params.numpy(), head.noise(tuple(params.shape[:-1]), rng())))


def test_categorical_agrees_with_torch() -> None:
    head = make_head(spaces.Discrete(5), squash=False)
    logits = torch.randn(7, 5, generator=rng())
    theirs = distributions.Categorical(logits=logits)
    action = drawn(head, logits)
    torch.testing.assert_close(head.evaluate(logits, action)[0], theirs.log_prob(action))
    torch.testing.assert_close(head.evaluate(logits, action)[1], theirs.entropy())
    assert head.mode(logits.numpy()).tolist() == theirs.mode.tolist()


def test_multi_discrete_agrees_with_torch() -> None:
    head = make_head(spaces.MultiDiscrete([3, 4]), squash=False)
    logits = torch.randn(6, 7, generator=rng())
    parts = [distributions.Categorical(logits=part) for part in logits.split([3, 4], dim=-1)]
    action = drawn(head, logits)
    assert action.shape == (6, 2)
    theirs = parts[0].log_prob(action[:, 0]) + parts[1].log_prob(action[:, 1])
    torch.testing.assert_close(head.evaluate(logits, action)[0], theirs)
    torch.testing.assert_close(head.evaluate(logits, action)[1], parts[0].entropy() + parts[1].entropy())


def test_multi_binary_agrees_with_torch() -> None:
    head = make_head(spaces.MultiBinary(4), squash=False)
    logits = torch.randn(6, 4, generator=rng())
    theirs = distributions.Bernoulli(logits=logits)
    action = drawn(head, logits)
    torch.testing.assert_close(head.evaluate(logits, action)[0], theirs.log_prob(action.float()).sum(-1))
    torch.testing.assert_close(head.evaluate(logits, action)[1], theirs.entropy().sum(-1))


def test_gaussian_agrees_with_torch() -> None:
    head = make_head(spaces.Box(-1, 1, (2, 3)), squash=False)
    params = torch.randn(5, 12, generator=rng())
    theirs = distributions.Normal(params[:, :6], params[:, 6:].exp())
    action = drawn(head, params)
    assert action.shape == (5, 2, 3)
    torch.testing.assert_close(head.evaluate(params, action)[0], theirs.log_prob(action.flatten(1)).sum(-1))
    torch.testing.assert_close(head.evaluate(params, action)[1], theirs.entropy().sum(-1))


def test_squashed_gaussian_agrees_with_torch() -> None:
    head = SquashedGaussian((3,))
    params = 0.5 * torch.randn(50, 6, generator=rng())
    base = distributions.Normal(params[:, :3], params[:, 3:].exp())
    theirs = distributions.TransformedDistribution(base, [distributions.TanhTransform(cache_size=1)])
    action = base.mean.tanh()
    torch.testing.assert_close(head.evaluate(params, action)[0], theirs.log_prob(action).sum(-1), rtol=1e-4, atol=1e-4)
    assert (drawn(head, params).abs() <= 1).all()
    assert head.evaluate(params, torch.ones(50, 3))[0].isfinite().all()


@pytest.mark.parametrize(
    ("space", "squash"),
    [
        (spaces.Discrete(3), False),
        (spaces.MultiBinary(2), False),
        (spaces.Box(-1, 1, (1,)), False),
        (spaces.Box(-1, 1, (1,)), True),
    ],
)
def test_samples_follow_the_log_probability(space: spaces.Space, squash: bool) -> None:
    """The mean of exp(-log_prob) over samples is the measure of the space (or of its bounded part)."""
    head = make_head(space, squash=squash)
    params = torch.tensor([[0.3, -0.4, 0.2][: head.size] + ([-0.5] * head.size if head.has_log_std else [])])
    params = params.expand(200_000, -1)
    action = drawn(head, params)
    if head.has_log_std:
        inside = (action > -0.5).all(-1) & (action < 0.5).all(-1)
        measured = float((inside.float() * (-head.evaluate(params, action)[0]).exp()).mean())
        assert measured == pytest.approx(1.0, abs=0.02)
    else:
        frequency = {tuple(np.atleast_1d(a)): 0 for a in action[:50].numpy()}
        for key in frequency:
            same = (action.reshape(len(action), -1) == torch.tensor(key)).all(-1)
            one = torch.tensor(key).reshape(1, *action.shape[1:])
            expected = math.exp(float(head.evaluate(params[:1], one)[0]))
            assert float(same.float().mean()) == pytest.approx(expected, abs=0.01)


def test_the_squashed_entropy_has_the_slope_of_the_squashing() -> None:
    """Against the integral of -p log p over the actions; the approximation at the mean is good for a narrow one."""
    means, std = [0.0, 1.0, -1.5], 0.05
    action = torch.linspace(-1, 1, 400_001, dtype=torch.float64)[1:-1]
    exact = []
    for mean in means:
        base = distributions.Normal(torch.tensor(mean, dtype=torch.float64), std)
        log_p = distributions.TransformedDistribution(base, [distributions.TanhTransform()]).log_prob(action)
        p = log_p.exp()
        assert float(torch.trapezoid(p, action)) == pytest.approx(1.0, abs=1e-3)
        exact.append(float(torch.trapezoid(torch.where(p > 0, -p * log_p, 0.0), action)))
    params = torch.tensor([*means, *[math.log(std)] * 3])
    for i, expected in enumerate(exact):
        assert float(SquashedGaussian((1,)).evaluate(params[[i, 3]], torch.zeros(1))[1]) == pytest.approx(
            expected, abs=5e-3
        )
    assert float(SquashedGaussian((3,)).evaluate(params, torch.zeros(3))[1]) == pytest.approx(sum(exact), abs=1e-2)


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(4),
        spaces.MultiDiscrete([2, 5]),
        spaces.MultiBinary(2),
        spaces.Box(-1, 1, (2,)),
    ],
    ids=str,
)
def test_uniform_actions_are_uniform_whatever_the_policy_prefers(space: spaces.Space, squash: bool) -> None:
    head = make_head(space, squash=squash)
    params = torch.tensor([3.0, -2.0, 1.0, 0.5, -4.0, 2.0, 0.0][: head.size] + [-3.0] * (head.size * head.has_log_std))
    drawn = head.uniform(params.expand(40_000, -1).numpy(), head.noise((40_000,), rng()))
    actions = torch.from_numpy(drawn).reshape(40_000, -1)
    if isinstance(space, spaces.Box):
        choices = [10, 10]
        assert actions.abs().max() <= 1
        actions = ((actions + 1) * 5).floor().clamp(max=9)  # tenths of the range
    else:
        choices = {4: [4], 7: [2, 5], 2: [2, 2]}[head.size]
    for column, count in zip(actions.T, choices, strict=True):
        frequency = torch.bincount(column.long(), minlength=count) / len(column)
        torch.testing.assert_close(frequency, torch.full((count,), 1 / count), atol=0.012, rtol=0)


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize(("beyond", "action"), [(HIGH + 0.1, 0.0), (LOW - 0.1, 0.5)], ids=["above", "below"])
def test_a_deviation_one_step_beyond_its_bound_is_led_back(beyond: float, action: float, squash: bool) -> None:
    """An action at the mean is likelier for a smaller deviation, one far from it for a larger one."""
    heads = Heads({"action": spaces.Box(-1, 1, (1,))}, squash=squash, initial_log_std=beyond)
    log_std = heads.log_std["action"]
    log_prob, _ = heads.evaluate(heads.params(torch.zeros(4, 1)), {"action": torch.full((4, 1), action)})
    (-log_prob.mean()).backward()
    assert log_std.grad is not None
    assert (log_std - 0.2 * log_std.grad.sign()).clamp(LOW, HIGH) == log_std - 0.2 * log_std.grad.sign() != log_std


def test_a_deviation_beyond_its_bound_is_led_back_through_the_action_that_noise_makes() -> None:
    head, noise = SquashedGaussian((1,)), torch.tensor([0.7])
    above, below = (
        torch.tensor([0.3, HIGH + 0.1], requires_grad=True),
        torch.tensor([0.3, LOW - 0.1], requires_grad=True),
    )
    (more_entropy_costs,) = torch.autograd.grad(-head.reparametrized(above, noise)[1], above)
    (less_entropy_costs,) = torch.autograd.grad(head.reparametrized(above, noise)[1], above)
    assert more_entropy_costs[1] == 0, "it would lead on"
    assert less_entropy_costs[1] > 0
    (larger_action_pays,) = torch.autograd.grad(-head.reparametrized(below, noise)[0].sum(), below)
    assert larger_action_pays[1] < 0


def test_a_mask_forbids_actions_in_every_mode() -> None:
    heads = Heads({"action": spaces.Discrete(4)})
    mask = torch.tensor([[True, False, True, False]]).expand(1000, 4)
    params = heads.params(torch.tensor([[0.0, 9.0, 1.0, 9.0]]).expand(1000, 4), mask)
    noise, arrays = heads.noise((1000,), rng()), {key: value.numpy() for key, value in params.items()}
    for actions in (heads.sample(arrays, noise), heads.uniform(arrays, noise), heads.mode(arrays)):
        assert set(actions["action"].tolist()) <= {0, 2}
    free = distributions.Categorical(logits=torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(heads.evaluate(params, {"action": torch.full((1000,), 2)})[1][0], free.entropy())
    assert heads.evaluate(params, {"action": torch.full((1000,), 2)})[0][0] == pytest.approx(
        float(free.log_prob(torch.tensor(1)))
    )


def test_a_mask_forbids_values_of_each_number_in_every_mode() -> None:
    heads = Heads({"action": spaces.MultiDiscrete([2, 3])})
    mask = torch.tensor([[False, True, True, False, True]]).expand(1000, 5)
    outputs = torch.tensor([[9.0, 0.0, 0.5, 9.0, 1.0]]).expand(1000, 5)
    params = heads.params(outputs, mask)
    noise, arrays = heads.noise((1000,), rng()), {key: value.numpy() for key, value in params.items()}
    for actions in (heads.sample(arrays, noise), heads.uniform(arrays, noise), heads.mode(arrays)):
        assert {tuple(row) for row in actions["action"].tolist()} <= {(1, 0), (1, 2)}
    for drawn in (heads.sample(arrays, noise), heads.uniform(arrays, noise)):
        assert 300 < int((drawn["action"][:, 1] == 2).sum()) < 700
    free = distributions.Categorical(logits=torch.tensor([0.5, 1.0]))
    log_prob, entropy = heads.evaluate(params, {"action": torch.tensor([[1, 2]]).expand(1000, 2)})
    torch.testing.assert_close(log_prob, free.log_prob(torch.tensor(1)).expand(1000))
    torch.testing.assert_close(entropy, free.entropy().expand(1000))


def test_the_heads_of_a_dict_space_add_up() -> None:
    heads = Heads({"action/a": spaces.Discrete(3), "action/b": spaces.Box(-1, 1, (2,))}, initial_log_std=-1.0)
    outputs = torch.randn(4, heads.size, generator=rng())
    params = heads.params(outputs)
    arrays = {key: value.detach().numpy() for key, value in params.items()}
    sampled = heads.sample(arrays, heads.noise((4,), rng()))
    action = {key: torch.from_numpy(value) for key, value in sampled.items()}
    normal = distributions.Normal(outputs[:, 3:], math.exp(-1.0))
    theirs = distributions.Categorical(logits=outputs[:, :3]).log_prob(action["action/a"])
    torch.testing.assert_close(heads.evaluate(params, action)[0], theirs + normal.log_prob(action["action/b"]).sum(-1))


def test_a_space_that_no_head_fits_is_named() -> None:
    with pytest.raises(UserError, match="Text"):
        make_head(spaces.Text(3), squash=False)
