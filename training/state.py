"""The state of a run's parts, and the base class of algorithms, which are saved as a network and named parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:  # workers that step environments import this file and need no torch
    import torch
    from torch import nn

State: TypeAlias = dict[str, Any]
"""What a part must save: nested dicts and lists of tensors, NumPy arrays, numbers, strings, booleans and None."""


class Segment(NamedTuple):
    """A value of a state that is large and final: under one name there are always the same arrays.

    It has a file of its own, of which the checkpoints of a run share one copy.
    """

    name: str
    arrays: dict[str, np.ndarray[Any, Any]]


class Stateful(Protocol):
    """A named part of a run. Loading what was saved makes the part continue as if it had never stopped.

    A state holds what was learned, counts and random numbers, never what the config says: a child with other options
    loads it too. Where it does not fit, loading raises.

    A part that may fail to has an attribute `inexact: list[str]`: after loading, why it does not continue to the bit.
    """

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


Parts: TypeAlias = "Mapping[str, nn.Module | Stateful | torch.Generator]"


def states_of(parts: Parts) -> State:
    """The state of each part under its name."""
    import torch

    return {
        name: part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
        for name, part in parts.items()
    }


def load_states(parts: Parts, state: State) -> None:
    """The inverse of `states_of`."""
    import torch

    for name, part in parts.items():
        if isinstance(part, torch.Generator):
            part.set_state(state[name])
        else:
            part.load_state_dict(state[name])


class Buildable(Protocol):
    """A network that is saved with all that is needed to build it again; its weights are under `weights`."""

    def save(self) -> State: ...

    def load_state_dict(self, state_dict: State) -> Any: ...


class NetworkAndParts:
    """The base of algorithms: saved are the network that they learn, ready to be built again, and their named parts.

    `network_name` is the attribute that holds the network, and its key in the state.
    """

    network_name: ClassVar[str]
    parts: Parts

    def state_dict(self) -> State:
        network: Buildable = getattr(self, self.network_name)
        return {self.network_name: network.save(), **states_of(self.parts)}

    def load_state_dict(self, state: State) -> None:
        network: Buildable = getattr(self, self.network_name)
        network.load_state_dict(state[self.network_name]["weights"])
        load_states(self.parts, state)
