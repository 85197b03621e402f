"""The reservoir: every sample ever offered is in it with the same chance, and it goes on to the bit."""

from __future__ import annotations

import pytest
import torch

from regimes.memory import Reservoir
from training.errors import UserError


def numbers(first: int, last: int) -> dict[str, torch.Tensor]:
    return {"input": torch.arange(first, last), "wide": torch.arange(first, last).unsqueeze(1).repeat(1, 2)}


def test_until_it_is_full_it_keeps_all_and_rows_stay_together() -> None:
    memory = Reservoir(10, seed=1)
    memory.offer(numbers(0, 4))
    assert (len(memory), memory.data["input"].tolist()) == (4, [0, 1, 2, 3])
    memory.offer(numbers(4, 100))
    assert len(memory) == 10
    assert torch.equal(memory.data["wide"][:, 0], memory.data["input"])
    drawn = memory.sample(50)
    assert drawn["wide"].shape == (50, 2)
    assert set(drawn["input"].tolist()) <= set(memory.data["input"].tolist())


def test_each_sample_is_kept_with_the_same_chance() -> None:
    kept = torch.zeros(40)
    for seed in range(500):
        memory = Reservoir(10, seed=seed)
        memory.offer(numbers(0, 25))
        memory.offer(numbers(25, 40))
        kept[memory.data["input"]] += 1
    share = kept / 500
    assert float(share.mean()) == pytest.approx(0.25)
    assert float((share - 0.25).abs().max()) < 5 * (0.25 * 0.75 / 500) ** 0.5


def test_it_goes_on_to_the_bit_and_another_seed_keeps_others() -> None:
    memory, again, other = Reservoir(5, seed=1), Reservoir(5, seed=2), Reservoir(5, seed=2)
    memory.offer(numbers(0, 20))
    other.offer(numbers(0, 20))
    assert memory.data["input"].tolist() != other.data["input"].tolist()
    memory.sample(3)
    again.load_state_dict(memory.state_dict())
    for one in (memory, again):
        one.offer(numbers(20, 40))
    assert torch.equal(memory.data["input"], again.data["input"])
    assert torch.equal(memory.sample(7)["input"], again.sample(7)["input"])


def test_one_that_holds_nothing_is_told() -> None:
    with pytest.raises(UserError, match="memory = 0: it takes at least 1"):
        Reservoir(0, seed=1)
