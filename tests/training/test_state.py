"""Named parts of an algorithm: modules, generators and whatever else has a state."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from training.state import NetworkAndParts, Parts, State, load_states, states_of


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def state_dict(self) -> State:
        return {"count": self.count}

    def load_state_dict(self, state: State) -> None:
        self.count = state["count"]


def parts(seed: int) -> dict[str, Any]:
    rng = torch.Generator().manual_seed(seed)
    layer = nn.Linear(2, 1)
    nn.init.normal_(layer.weight, generator=rng)
    return {"layer": layer, "rng": rng, "counter": Counter()}


def test_parts_of_every_kind_go_on_from_their_states() -> None:
    first, second = parts(1), parts(2)
    first["counter"].count = 7
    load_states(second, copy.deepcopy(states_of(first)))
    assert torch.equal(second["layer"].weight, first["layer"].weight)
    assert torch.equal(torch.rand(3, generator=second["rng"]), torch.rand(3, generator=first["rng"]))
    assert second["counter"].count == 7


class Network(nn.Linear):
    def save(self) -> State:
        return {"sizes": [self.in_features, self.out_features], "weights": self.state_dict()}


class Learns(NetworkAndParts):
    network_name = "policy"

    def __init__(self) -> None:
        self.policy = Network(2, 3)
        self.parts: Parts = {"counter": Counter()}


def test_an_algorithm_is_saved_as_its_network_and_its_parts() -> None:
    first, second = Learns(), Learns()
    state = copy.deepcopy(first.state_dict())
    assert list(state) == ["policy", "counter"]
    assert state["policy"]["sizes"] == [2, 3]
    second.load_state_dict(state)
    assert torch.equal(second.policy.weight, first.policy.weight)
