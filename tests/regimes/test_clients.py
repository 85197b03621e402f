"""Clients: the same bits wherever they train, the anchor of FedProx, and what is told of one that cannot train."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pretraining.supervised import SupervisedConfig
from regimes.clients import Client, LocalClients, check_clients, check_model
from tests.support.federated import SPLITS, a_model, a_training, clients_of
from training.data.dataset import Dataset
from training.data.preprocessing import PreprocessingConfig
from training.data.sources import of_arrays
from training.errors import UserError
from training.optimizer import OptimizerConfig


def weights() -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in a_model().named_parameters()}


def test_what_a_client_answers_depends_on_its_name_and_the_round_and_not_on_who_trained_before() -> None:
    one, two, three = clients_of()
    training, start = a_training(minibatch_size=7, epochs=2), weights()
    first = training.train(two, start, 3)
    training.train(one, start, 3)
    torch.rand(5)
    again = a_training(minibatch_size=7, epochs=2).train(two, start, 3)
    assert all(torch.equal(first.change[name], again.change[name]) for name in start)
    assert (first.samples, first.measured) == (30, again.measured)
    later = training.train(two, start, 4)  # another order of the samples
    assert not all(torch.equal(first.change[name], later.change[name]) for name in start)
    assert all(torch.equal(value, weights()[name]) for name, value in start.items()), "the server's weights moved"
    answers = LocalClients(training, [one, two, three]).train([0, 2], start, 3)
    assert [answer.samples for answer in answers] == [60, 20]


def test_the_anchor_holds_a_client_near_the_server() -> None:
    """With FedProx's penalty mu / 2 |theta - x|^2 one exact step is a gradient step that is pulled back by mu."""
    (client, *_), start = clients_of(), weights()
    mu, rate = 0.3, 0.5
    free = a_training(epochs=2).train(client, start, 0).change
    held = a_training(epochs=2, anchor=mu).train(client, start, 0).change
    step = a_training(epochs=1).train(client, start, 0).change  # at the server's weights the penalty has no gradient
    moved = {name: start[name] + step[name] for name in start}
    second = a_training(epochs=1).train(client, moved, 1).change
    for name in start:
        torch.testing.assert_close(free[name], step[name] + second[name], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(held[name], step[name] * (1 - rate * mu) + second[name], atol=1e-5, rtol=1e-4)


def test_a_client_that_diverges_is_named() -> None:
    (client, *_), wild = clients_of(), SupervisedConfig(optimizer=OptimizerConfig("sgd", learning_rate=3e38))
    with pytest.raises(UserError, match=r"client 'party 0' diverges in round 5: .*"):
        a_training(config=wild, epochs=20).train(client, weights(), 4)


def columns(*names: str, rows: int = 4, bad: float | None = None) -> Dataset:
    values = np.random.default_rng(0).normal(size=(rows, len(names))).astype(np.float32)
    if bad is not None:
        values[2, 0] = bad
    return of_arrays(values, np.arange(rows) % 2, "a table", columns=names, labels=["no", "yes"])


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (columns("age").select(np.arange(0)), "client 'b' has no samples: it takes at least one, or is left out"),
        (columns("age", bad=np.nan), "client 'b': a table: column 'age' is missing in 1 samples, such as 2; preproc"),
        (columns("age", bad=np.inf), "client 'b': a table: column 'age' is infinite in 1 samples, such as 2"),
        (columns("size"), "client 'b' has other data than client 'a': it lacks the column 'age'"),
        (columns("age", "size"), "client 'b' has other data than client 'a': it has a column 'size' more"),
        (replace(columns("age"), labels=("no", "maybe")), "its classes are no, maybe and not no, yes"),
        (
            of_arrays(np.zeros((4, 1), np.float32), np.zeros(4, np.float32), "t", columns=["age"]),
            "target is Box",
        ),
    ],
)
def test_a_client_that_cannot_train_is_told_by_name(other: Dataset, told: str) -> None:
    with pytest.raises(UserError, match=told):
        check_clients([Client("a", columns("age")), Client("b", other)], PreprocessingConfig())


def test_columns_in_another_order_names_that_are_there_twice_and_nobody_are_told() -> None:
    one, other = Client("a", columns("age", "size")), Client("b", columns("size", "age"))
    with pytest.raises(UserError, match="its columns are in another order, size, age"):
        check_clients([one, other], PreprocessingConfig())
    with pytest.raises(UserError, match="client 'a' is there 2 times"):
        check_clients([one, one], PreprocessingConfig())
    with pytest.raises(UserError, match="there are none"):
        check_clients([], PreprocessingConfig())
    check_clients(clients_of(), PreprocessingConfig())


def test_batch_norm_is_refused() -> None:
    check_model(a_model())
    with pytest.raises(UserError, match="'1' is batch norm"):
        check_model(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)))


def test_a_client_with_fewer_samples_than_a_minibatch_takes_all_of_them() -> None:
    few = Client("few", SPLITS.train.select(np.arange(3)))
    assert a_training(minibatch_size=16, epochs=2).train(few, weights(), 0).samples == 3
