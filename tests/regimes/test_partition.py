"""Dealing samples out to clients: every sample once, as unevenly as is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from regimes.partition import PartitionConfig, by_dirichlet, by_group
from training.data.dataset import Dataset
from training.data.sources import of_arrays, sklearn_dataset
from training.errors import UserError

DIGITS = sklearn_dataset("digits")


def rows_of(clients: list) -> list[int]:  # type: ignore[type-arg]
    return sorted(row for client in clients for row in client.data.rows.tolist())


def kinds(concentration: float) -> float:
    """How many classes make up nine tenths of a client, on average."""
    clients = by_dirichlet(DIGITS, PartitionConfig(10, concentration), seed=1)
    shares = [np.sort(np.bincount(client.data.array("target"), minlength=10))[::-1] for client in clients]
    return float(np.mean([1 + (np.cumsum(share / share.sum()) < 0.9).sum() for share in shares]))


def test_every_sample_has_one_client_and_the_seed_decides_which() -> None:
    config = PartitionConfig(20, 0.1)
    clients = by_dirichlet(DIGITS, config, seed=1)
    assert rows_of(clients) == list(range(len(DIGITS)))
    assert min(len(client.data) for client in clients) >= config.fewest_samples
    again, other = (by_dirichlet(DIGITS, config, seed=seed) for seed in (1, 2))
    assert [len(client.data) for client in again] == [len(client.data) for client in clients]
    assert [len(client.data) for client in other] != [len(client.data) for client in clients]


def test_the_concentration_says_how_many_classes_a_client_has() -> None:
    assert kinds(0.1) < 4 < 8 < kinds(1_000.0)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (PartitionConfig(20, 0.001), "concentration = 0.001: none of 1000 draws gives each of 20 clients 10 samples"),
        (PartitionConfig(200), "clients = 200: it takes at most 179: 1797 samples, 10 for each"),
    ],
)
def test_what_cannot_be_dealt_out_is_told(config: PartitionConfig, told: str) -> None:
    with pytest.raises(UserError, match=told):
        by_dirichlet(DIGITS, config, seed=1)


@pytest.mark.parametrize(("field", "value"), [("clients", 0), ("concentration", 0.0), ("fewest_samples", 0)])
def test_impossible_numbers_are_told(field: str, value: float) -> None:
    with pytest.raises(UserError, match=f"{field} = {value}"):
        PartitionConfig(**{field: value})


def test_a_target_without_classes_is_told() -> None:
    numbers = of_arrays(np.zeros((40, 2), np.float32), np.arange(40).astype(np.float32), "numbers")
    with pytest.raises(UserError, match="numbers has no classes to divide by"):
        by_dirichlet(numbers, PartitionConfig(2), seed=1)


def test_each_group_is_a_client() -> None:
    group = np.array([1, 0, 1, 1, 0])
    data: Dataset = of_arrays(np.arange(5, dtype=np.float32)[:, None], None, "flights", group=group)
    clients = by_group(data, ["AA", "UA"])
    assert [(client.name, client.data.rows.tolist()) for client in clients] == [("AA", [1, 4]), ("UA", [0, 2, 3])]
    with pytest.raises(UserError, match="sklearn digits has no 'group' to divide by"):
        by_group(DIGITS, ["AA"])
