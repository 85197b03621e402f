"""Memories over sequences with episodes in them, against torch's own cells step by step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from training.networks.in_numpy import memory_as_numpy
from training.networks.recurrent import Memory
from training.seeding import generator

CELLS = ["lstm", "gru"]
HORIZON, ROWS, FEATURES, SIZE = 12, 4, 3, 5


def make_memory(name: Any) -> Memory:
    """With biases that are not zero, so that each has its place."""
    memory = Memory(name, FEATURES, SIZE, generator(1))
    with torch.no_grad():
        for parameter in memory.parameters():
            if parameter.dim() == 1:
                parameter.normal_(generator=generator(2))
    return memory


def make_sequences(memory: Memory, ends: float = 0.2) -> tuple[Tensor, Tensor, Tensor]:
    rng = generator(3)
    features = torch.randn(HORIZON, ROWS, FEATURES, generator=rng)
    is_first = torch.rand(HORIZON, ROWS, generator=rng) < ends
    return features, is_first, torch.randn(ROWS, memory.parts, SIZE, generator=rng)


def step_by_step(memory: Memory, features: Tensor, is_first: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """With torch's LSTMCell and GRUCell, one step and one row at a time."""
    is_lstm = memory.parts == 2
    cell = (nn.LSTMCell if is_lstm else nn.GRUCell)(FEATURES, SIZE)
    weights = {key.removesuffix("_l0"): value.detach() for key, value in memory.cell.named_parameters()}
    cell.load_state_dict(weights)
    outputs = torch.zeros(HORIZON, ROWS, SIZE)
    after = torch.zeros_like(state)
    for n in range(ROWS):
        parts = [part.clone() for part in state[n]]
        for t in range(HORIZON):
            if is_first[t, n]:
                parts = [torch.zeros(SIZE) for _ in parts]
            made = cell(features[t, n], tuple(parts) if is_lstm else parts[0])
            parts = list(made) if is_lstm else [made]
            outputs[t, n] = parts[0].detach()
        after[n] = torch.stack(parts).detach()
    return outputs, after


@pytest.mark.parametrize("ends", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("name", CELLS)
def test_sequences_are_remembered_as_step_by_step_and_forgotten_where_episodes_begin(name: str, ends: float) -> None:
    memory = make_memory(name)
    sequences = make_sequences(memory, ends)
    torch.testing.assert_close(memory(*sequences), step_by_step(memory, *sequences))


@pytest.mark.parametrize("name", CELLS)
def test_a_step_in_numpy_is_the_modules_and_follows_its_weights(name: str) -> None:
    memory = make_memory(name)
    remember = memory_as_numpy(memory, ROWS)
    assert remember is not None
    for _ in range(2):
        features, is_first, state = make_sequences(memory)
        outputs, after = memory(features, is_first, state)
        kept = state.clone()
        now = state.numpy()
        for t in range(HORIZON):
            now = remember(features[t].numpy(), is_first[t].numpy(), now)
            torch.testing.assert_close(torch.from_numpy(now[:, 0].copy()), outputs[t].detach())
        torch.testing.assert_close(torch.from_numpy(now), after.detach())
        assert torch.equal(state, kept)
        with torch.no_grad():
            for parameter in memory.parameters():
                parameter.mul_(1.5)


@pytest.mark.parametrize("name", CELLS)
def test_large_numbers_neither_overflow_nor_warn(name: str) -> None:
    memory = make_memory(name)
    remember = memory_as_numpy(memory, ROWS)
    assert remember is not None
    features, is_first, state = make_sequences(memory)
    features *= 1e4
    _, after = memory(features[:1], is_first[:1], state)
    torch.testing.assert_close(
        torch.from_numpy(remember(features[0].numpy(), is_first[0].numpy(), state.numpy())), after.detach()
    )


@pytest.mark.parametrize("name", CELLS)
def test_nothing_flows_across_the_begin_of_an_episode(name: str) -> None:
    memory = make_memory(name)
    features, is_first, state = make_sequences(memory, ends=0.0)
    is_first[5, 2] = True
    features.requires_grad_()
    state.requires_grad_()
    outputs, _ = memory(features, is_first, state)
    outputs[7].sum().backward()
    assert features.grad is not None
    assert state.grad is not None
    reached = features.grad.abs().amax(-1) > 0
    for n in range(ROWS):
        assert reached[:, n].tolist() == [(5 if n == 2 else 0) <= t <= 7 for t in range(HORIZON)]
    assert (state.grad.abs().amax((1, 2)) > 0).tolist() == [True, True, False, True]


@pytest.mark.parametrize("name", CELLS)
def test_a_broken_state_is_forgotten_too(name: str) -> None:
    memory = make_memory(name)
    features, is_first, state = make_sequences(memory, ends=0.0)
    is_first[0] = True
    remember = memory_as_numpy(memory, ROWS)
    assert remember is not None
    empty = memory(features, is_first, torch.zeros_like(state))
    torch.testing.assert_close(memory(features, is_first, state * float("nan")), empty)
    forgotten = remember(features[0].numpy(), is_first[0].numpy(), (state * float("nan")).numpy())
    torch.testing.assert_close(torch.from_numpy(forgotten[:, 0].copy()), empty[0][0].detach())


@pytest.mark.parametrize("name", CELLS)
def test_weights_come_from_the_generator_alone(name: Any) -> None:
    torch.manual_seed(1)
    one = Memory(name, FEATURES, SIZE, generator(1))
    before = torch.get_rng_state()
    two = Memory(name, FEATURES, SIZE, generator(1))
    assert torch.equal(torch.get_rng_state(), before)
    for (key, weight), same in zip(one.named_parameters(), two.parameters(), strict=True):
        assert torch.equal(weight, same)
        if "weight" in key:
            torch.testing.assert_close(weight.T @ weight, torch.eye(weight.shape[1]), rtol=0, atol=1e-5)
        else:
            assert torch.equal(weight, torch.zeros_like(weight))


def test_large_memories_are_left_to_torch() -> None:
    memory = Memory("lstm", 64, 64, generator(1))
    assert memory_as_numpy(memory, 16) is not None
    assert memory_as_numpy(memory, 17) is None
