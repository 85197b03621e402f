"""An algorithm as named parts, which are saved and loaded alike: none can be forgotten in one of the two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import nn

from training.core import State, Stateful

Parts: TypeAlias = Mapping[str, nn.Module | Stateful | torch.Generator]


def states_of(parts: Parts) -> State:
    """The state of each part under its name."""
    return {
        name: part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
        for name, part in parts.items()
    }


def load_states(parts: Parts, state: State) -> None:
    """The inverse of `states_of`."""
    for name, part in parts.items():
        if isinstance(part, torch.Generator):
            part.set_state(state[name])
        else:
            part.load_state_dict(state[name])
