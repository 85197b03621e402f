"""An algorithm as its policy and named parts beside it, which are saved and loaded alike."""

from __future__ import annotations

from torch import nn

from agents.policies.policy import NetworkPolicy
from training.state import Parts, State, load_states, states_of

__all__ = ["Parts", "load_parts", "prefixed", "save_parts"]


def prefixed(name: str, module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of a part under names that no parameter of the policy has."""
    return {f"{name}.{key}": value for key, value in module.named_parameters()}


def save_parts(policy: NetworkPolicy, parts: Parts) -> State:
    """The state of a policy and of what its algorithm has beside it."""
    return {"policy": policy.save(), **states_of(parts)}


def load_parts(policy: NetworkPolicy, parts: Parts, state: State) -> None:
    """The inverse of `save_parts`."""
    policy.load_state_dict(state["policy"]["weights"])
    load_states(parts, state)
