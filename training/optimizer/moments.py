"""The moments of torch's optimizers by the names of the parameters: how they are saved, checked and loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from training.errors import UserError
from training.state import State


def moments_of(optimizers: Sequence[Optimizer]) -> State:
    """The kind of optimizer and its moments for each parameter, as references."""
    return {
        key: {"kind": group["kind"], **optimizer.state.get(parameter, {})}
        for optimizer in optimizers
        for group in optimizer.param_groups
        for key, parameter in zip(group["param_names"], group["params"], strict=True)
    }


def check_moments(place: str, saved: State, optimizers: Sequence[Optimizer], parameters: Mapping[str, Tensor]) -> None:
    """Raises UserError, naming the first thing that does not fit these optimizers of these parameters."""
    kinds = {key: g["kind"] for optimizer in optimizers for g in optimizer.param_groups for key in g["param_names"]}
    check_names(place, saved, parameters)
    for key, parameter in parameters.items():
        own = f"{place} of {key!r}"
        if saved[key]["kind"] != kinds[key]:
            raise UserError(f"{own}: they were saved by {saved[key]['kind']!r}, here they belong to {kinds[key]!r}")
        for name, value in saved[key].items():
            if name not in ("kind", "step"):
                check_shape(f"{own}, {name}", value, parameter)


def load_moments(saved: State, optimizers: Sequence[Optimizer]) -> None:
    """Gives the optimizers copies of the moments."""
    for optimizer in optimizers:
        groups = optimizer.state_dict()["param_groups"]
        names = [key for group in groups for key in group["param_names"]]
        # Clones: torch keeps the tensors that it is given, and two optimizers may load one state.
        tensors = [{k: v.clone() for k, v in saved[key].items() if k != "kind"} for key in names]
        optimizer.load_state_dict({"state": dict(enumerate(tensors)), "param_groups": groups})


def continued(own: State, saved: State, name: str) -> State:
    """The saved state of an optimizer of torch with the options of this one, such as the learning rate.

    Raises UserError where the saved one is of another kind.
    """
    options, others = ({key for group in state["param_groups"] for key in group} for state in (own, saved))
    if options != others:
        told = ", ".join(sorted(options ^ others))
        raise UserError(f"{name} is of another kind of optimizer than the saved one: only one of them has {told}")
    return {**saved, "param_groups": own["param_groups"]}


def check_names(place: str, saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raises UserError for the first name that only one of them has."""
    for key in (*own, *saved):
        if key not in saved or key not in own:
            where = "only in the saved state" if key in saved else "not in the saved state"
            raise UserError(f"{place}: {key!r} is {where}; load it with the rules it was saved with")


def check_shape(place: str, value: Tensor, parameter: Tensor) -> None:
    """Raises UserError unless the saved value has the shape of the parameter."""
    if value.shape != parameter.shape:
        raise UserError(f"{place}: the saved shape is {list(value.shape)}, the parameter's is {list(parameter.shape)}")
