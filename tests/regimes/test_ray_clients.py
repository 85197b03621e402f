"""Clients on Ray: the bits of one process, on two nodes too, and what is told of one that fails there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pretraining.supervised import SupervisedConfig
from regimes import federated
from regimes.clients import LocalClients
from regimes.federated import FederatedRunConfig
from regimes.ray_clients import RayClients
from tests.support.federated import SPLITS, a_config, a_model, a_training, clients_of
from training.errors import UserError
from training.optimizer import OptimizerConfig
from training.run.run import Run

pytestmark = pytest.mark.xdist_group("ray")


def test_clients_on_ray_answer_the_same_bits_and_one_that_diverges_is_named() -> None:
    clients, model = clients_of(), a_model()
    weights = {name: value.detach().clone() for name, value in model.named_parameters()}
    training = a_training(model, minibatch_size=7, epochs=3)
    here = LocalClients(training, clients).train([0, 1, 2], weights, 5)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with RayClients.on(None, training, clients, workers=2) as asked:
            there = asked.train([0, 1, 2], weights, 5)
            wild = SupervisedConfig(optimizer=OptimizerConfig("sgd", learning_rate=3e38))
            with pytest.raises(UserError, match="client 'party 1' diverges in round 1"):
                RayClients(a_training(config=wild, epochs=20), clients).train([1], weights, 0)
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(here, there, strict=True):
        assert (one.samples, one.measured) == (other.samples, other.measured)
        assert all(torch.equal(one.change[name], other.change[name]) for name in weights)


def trained(folder: Path, config: FederatedRunConfig) -> bytes:
    with Run.create("made_up", config, folder=folder, tracker="none") as run:
        federated.train(config, run, SPLITS, clients_of())
    return (folder / "metrics.jsonl").read_bytes()


@pytest.mark.full
def test_a_run_on_two_nodes_is_the_run_in_one_process(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    config = a_config(6, fraction=1.0, dropout=0.2)
    here = trained(tmp_path / "here", config)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        there = trained(tmp_path / "there", replace(config, workers=2, ray_address=cluster.address))
    finally:
        cluster.shutdown()
    assert here == there
