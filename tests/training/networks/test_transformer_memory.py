"""A transformer as a memory, over sequences with episodes in them, against plain attention step by step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.support.recurrent import attend
from training.errors import UserError
from training.networks.in_numpy import memory_as_numpy
from training.networks.transformer_memory import TransformerMemory, TransformerMemoryConfig
from training.seeding import generator

HORIZON, ROWS, FEATURES, SIZE = 12, 4, 3, 8
LAYERS, HEADS, CONTEXT = 2, 2, 4


def make_memory() -> TransformerMemory:
    """With biases that are not zero, so that each has its place."""
    memory = TransformerMemory(TransformerMemoryConfig(LAYERS, HEADS, CONTEXT), FEATURES, SIZE, generator(1))
    rng = generator(2)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=rng))
    return memory


def make_sequences(ends: float = 0.2) -> tuple[Tensor, Tensor, Tensor]:
    """Features, where episodes begin, and a state of which each row has another number of steps."""
    rng = generator(3)
    features = torch.randn(HORIZON, ROWS, FEATURES, generator=rng)
    is_first = torch.rand(HORIZON, ROWS, generator=rng) < ends
    state = torch.randn(ROWS, CONTEXT, 1 + LAYERS * SIZE, generator=rng)
    state[..., 0] = 1.0
    for row in range(ROWS):
        state[row, : CONTEXT - row - 1] = 0.0
    return features, is_first, state


def by_hand(memory: TransformerMemory, features: Tensor, is_first: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    weights = dict(memory.named_parameters())
    outputs, after = [], []
    for n in range(ROWS):
        now, of_row = state[n], []
        for t in range(HORIZON):
            now = torch.zeros_like(now) if is_first[t, n] else now
            made, now = attend(weights, features[t, n], now, layers=LAYERS, heads=HEADS)
            of_row.append(made)
        outputs.append(torch.stack(of_row))
        after.append(now)
    return torch.stack(outputs, 1), torch.stack(after)


@pytest.mark.parametrize("ends", [0.0, 0.2, 1.0])
def test_a_sequence_with_its_gradients_is_that_of_plain_attention_step_by_step(ends: float) -> None:
    memory = make_memory()
    features, is_first, state = make_sequences(ends)
    weight, of = torch.randn(HORIZON, ROWS, SIZE, generator=generator(4)), dict(memory.named_parameters())
    results = []
    for way in (memory, lambda *sequences: by_hand(memory, *sequences)):
        seen = features.clone().requires_grad_()
        outputs, after = way(seen, is_first, state)
        gradients = torch.autograd.grad((outputs * weight).sum(), [seen, *of.values()])
        results.append((outputs, after, dict(zip(["features", *of], gradients, strict=True))))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)
    assert all(gradient.abs().max() > 0 for gradient in results[0][2].values()) or ends == 1.0


@pytest.mark.parametrize("length", [1, 5])
def test_a_sequence_in_pieces_is_the_same(length: int) -> None:
    memory = make_memory()
    features, is_first, state = make_sequences()
    whole, last = memory(features, is_first, state)
    outputs = []
    for begin in range(0, HORIZON, length):
        piece = slice(begin, begin + length)
        made, state = memory(features[piece], is_first[piece], state)
        outputs.append(made)
    torch.testing.assert_close((torch.cat(outputs), state), (whole, last))


def test_it_sees_as_far_as_its_layers_look_back_and_never_across_the_begin_of_an_episode() -> None:
    memory = make_memory()
    features, is_first, state = make_sequences(0.0)
    is_first[8, 2] = True
    features.requires_grad_()
    state.requires_grad_()
    outputs, after = memory(features, is_first, state)
    gradient, of_state = torch.autograd.grad(outputs[10].sum(), [features, state], retain_graph=True)
    reached = gradient.abs().amax(-1) > 0
    for n in range(ROWS):
        assert reached[:, n].tolist() == [(8 if n == 2 else 10 - LAYERS * CONTEXT) <= t <= 10 for t in range(HORIZON)]
    assert not of_state.any()
    (of_state,) = torch.autograd.grad(outputs[2].sum(), [state])
    seen = of_state[..., 1:].abs().amax((1, 2)) > 0
    assert seen.tolist() == [True, True, True, True]
    assert not of_state[0, :-1].any(), "slots without a step are not seen"
    assert after[2, :, 0].tolist() == [1.0] * 4
    _, after = memory(features[:10], is_first[:10], state)
    assert after[2, :, 0].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert not after[2, :2].any()


def test_a_broken_state_is_forgotten_where_an_episode_begins() -> None:
    memory = make_memory()
    features, is_first, state = make_sequences(0.0)
    is_first[0] = True
    broken = memory(features, is_first, state * float("nan"))
    torch.testing.assert_close(broken, memory(features, is_first, torch.zeros_like(state)))


def test_weights_come_from_the_generator_alone_and_its_gates_begin_nearly_shut() -> None:
    config = TransformerMemoryConfig(LAYERS, HEADS, CONTEXT)
    torch.manual_seed(1)
    one = TransformerMemory(config, FEATURES, SIZE, generator(1))
    before = torch.get_rng_state()
    two = TransformerMemory(config, FEATURES, SIZE, generator(1))
    assert torch.equal(torch.get_rng_state(), before)
    for weight, same in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(weight, same)
    features, is_first, state = make_sequences()
    embedded = one.embed(features)
    outputs, _ = one(features, is_first, state)
    assert (outputs - embedded).norm() < 0.5 * embedded.norm()


def test_it_acts_by_torch_and_impossible_shapes_are_named() -> None:
    assert memory_as_numpy(make_memory(), 1) is None
    with pytest.raises(UserError, match="context = 0: it takes at least 1"):
        TransformerMemoryConfig(context=0)
