"""An algorithm as named parts, which are saved and loaded alike: none can be forgotten in one of the two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import nn

from agents.policy import NetworkPolicy
from training.core import State, Stateful

Parts: TypeAlias = Mapping[str, nn.Module | Stateful | torch.Generator]


def prefixed(name: str, module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of a part under names that no parameter of the policy has."""
    return {f"{name}.{key}": value for key, value in module.named_parameters()}


def save_parts(policy: NetworkPolicy, parts: Parts) -> State:
    """The state of a policy and of what its algorithm has beside it."""
    states = {
        name: part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
        for name, part in parts.items()
    }
    return {"policy": policy.save(), **states}


def load_parts(policy: NetworkPolicy, parts: Parts, state: State) -> None:
    """The inverse of `save_parts`."""
    policy.load_state_dict(state["policy"]["weights"])
    for name, part in parts.items():
        if isinstance(part, torch.Generator):
            part.set_state(state[name])
        else:
            part.load_state_dict(state[name])
