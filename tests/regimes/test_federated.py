"""Federated learning: FedAvg of one exact step is a gradient step on all samples, FedAdam by hand, runs that go on."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pretraining.model import load_model
from regimes import clients as clients_module
from regimes import federated
from regimes.clients import Client, LocalClients
from regimes.federated import Federated, FederatedConfig, FederatedRunConfig
from regimes.rounds import Rounds, WeightedMean
from tests.support.federated import SGD, SPLITS, a_config, a_model, a_training, clients_of
from training.core import Budget, Counters
from training.errors import UserError
from training.optimizer import OptimizerConfig
from training.run.run import Run

RESUMED = {
    "digits_federated": ["--steps", "60", "--data.clients", "4", "--data.concentration", "1", "--central.epochs", "3"],
}


def trained(folder: Path, config: FederatedRunConfig, clients: list[Client] | None = None) -> Run:
    run = Run.open(folder) if folder.exists() else Run.create("made_up", config, folder=folder, tracker="none")
    with run:
        federated.train(config, run, SPLITS, clients or clients_of())
    return run


def test_an_average_of_exact_steps_is_one_step_on_all_samples() -> None:
    """McMahan et al. 2017, section 2: with one step on all of a client's samples FedAvg is FedSGD."""
    clients, model = clients_of(), a_model()
    server = Federated(model, FederatedConfig(client=SGD), until=Budget(5, "updates"))
    asked = LocalClients(a_training(model), clients)
    stream = Rounds(asked, dict(model.named_parameters()), WeightedMean(), seed=1)
    together = a_training(a_model())
    all_of_them = Client("all", SPLITS.train.select(np.arange(110)))
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    now = Counters()
    for number in range(3):
        batch, now, _ = stream.next(now)
        server.update(batch, now)
        change = together.train(all_of_them, start, number).change
        start = {name: value + change[name] for name, value in start.items()}
        for name, value in model.named_parameters():
            torch.testing.assert_close(value.detach(), start[name], atol=1e-6, rtol=1e-5)


def test_adam_on_the_server_steps_by_the_change_as_a_gradient() -> None:
    model = a_model()
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    config = FederatedConfig(optimizer=OptimizerConfig("adam", learning_rate=0.1, betas=(0.9, 0.99), eps=1e-3))
    server = Federated(model, config, until=Budget(5, "updates"))
    changes = [torch.full_like(value, 0.01) for value in start.values()]
    batch = {f"change/{name}": change for name, change in zip(start, changes, strict=True)}
    server.update(batch | {"loss": torch.tensor(1.0)}, Counters())
    # The first step of Adam, corrected for its zero start: rate * change / (|change| + eps).
    for name, value in model.named_parameters():
        torch.testing.assert_close(value.detach(), start[name] + 0.1 * 0.01 / (0.01 + 1e-3))


def test_a_round_that_nobody_answers_changes_nothing() -> None:
    server = Federated(a_model(), FederatedConfig(), until=Budget(5, "updates"))
    before = {name: value.clone() for name, value in server.model.state_dict().items()}
    assert server.update({}, Counters()) == ({}, {})
    assert all(torch.equal(value, before[name]) for name, value in server.model.state_dict().items())


def test_it_learns_what_no_client_could_know_alone(tmp_path: Path) -> None:
    order = np.argsort(SPLITS.train.array("target"), kind="stable")
    apart = [Client(f"class {n}", SPLITS.train.select(rows)) for n, rows in enumerate(np.array_split(order, 3))]
    config = a_config(12, fraction=1.0)
    run = trained(tmp_path / "run", config, apart)
    assert run.result["metrics"]["test/accuracy"] > 0.95
    assert run.result["counters"]["updates"] == 12
    assert run.result["counters"]["samples"] == 12 * len(SPLITS.train)
    alone = federated.alone(config, SPLITS, apart)
    assert max(measured["accuracy"] for measured in alone) < 0.85
    assert load_model(run.folder, "last").classes == 3


def _die_in_the_middle_of_a_round() -> None:
    """With a checkpoint behind it, before the second client of a round trains whose first one has answered."""
    real, calls = clients_module.LocalTraining.train, []

    def dies(self: object, *args: object) -> object:
        calls.append(args)
        if len(calls) == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *args)  # type: ignore[arg-type]

    clients_module.LocalTraining.train = dies  # type: ignore[assignment]


def test_a_run_that_is_killed_in_the_middle_of_a_round_goes_on_to_the_bit(tmp_path: Path) -> None:
    config = a_config(6, fraction=1.0, dropout=0.2, optimizer=OptimizerConfig("adam", learning_rate=1e-2))
    whole = trained(tmp_path / "whole", config)
    child = os.fork()
    if child == 0:
        try:
            _die_in_the_middle_of_a_round()
            trained(tmp_path / "killed", config)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert any((tmp_path / "killed").glob("checkpoints/*/manifest.json"))
    again = trained(tmp_path / "killed", config)
    for file in ("metrics.jsonl", "checkpoints"):
        assert (whole.folder / file).exists()
    assert (again.folder / "metrics.jsonl").read_bytes() == (whole.folder / "metrics.jsonl").read_bytes()
    one, other = (json.loads((run.folder / "result.json").read_text()) for run in (whole, again))
    assert (one["metrics"], one["exact"]) == (other["metrics"], True)
    weights = [load_model(run.folder, "last").state_dict() for run in (whole, again)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_a_client_without_samples_ends_it_before_anything_is_there(tmp_path: Path) -> None:
    empty = Client("nobody", SPLITS.train.select(np.arange(0)))
    with pytest.raises(UserError, match="client 'nobody' has no samples"):
        trained(tmp_path / "run", a_config(), [*clients_of(), empty])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"epochs": 3, "steps": None}, "epochs = 3: it takes None: the budget is in rounds"),
        ({"workers": -1}, "workers = -1"),
        ({"learners": 2}, "learners = 2: it takes 1: it is the clients that share the work"),
    ],
)
def test_what_a_server_cannot_do_is_told(changes: dict[str, int | None], told: str) -> None:
    with pytest.raises(UserError, match=told):
        replace(a_config(), **changes)


@pytest.mark.parametrize(
    ("field", "value"), [("client_epochs", 0), ("anchor", -1.0), ("fraction", 1.5), ("dropout", 1.0)]
)
def test_impossible_numbers_are_told(field: str, value: float) -> None:
    with pytest.raises(UserError, match=f"{field} = {value}"):
        FederatedConfig(**{field: value})
