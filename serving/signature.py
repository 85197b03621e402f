"""What a model takes and gives: names, shapes and dtypes, as they are written beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Space
from numpy.typing import NDArray

from envs.space_json import space_to_json
from envs.spaces import SpaceError, leaves
from training.errors import UserError


@dataclass(frozen=True)
class Value:
    """One input or output of a model; the batch dimension goes before its shape."""

    name: str
    space: Space[Any]
    """What its values are: of one leaf, as the environment or the data have them."""
    dtype: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.space.shape or ()

    def as_json(self) -> dict[str, Any]:
        shape = ["batch", *self.shape]
        return {"name": self.name, "dtype": self.dtype, "shape": shape, "space": space_to_json(self.space)}

    def check(self, values: Any) -> NDArray[Any]:
        """Values [N, *shape] in the model's dtype. Raises UserError where they do not fit or are not finite."""
        takes = f"it takes {self.dtype} {['batch', *self.shape]}"
        try:
            array = np.asarray(values)
            if array.ndim == 0 or array.dtype.kind not in "biuf":
                raise UserError(f"{self.name} is {type(values).__name__}: {takes}")
            (leaf,) = leaves(self.space)
            with np.errstate(over="ignore"):  # which makes it infinite, and that is refused
                leaf.encode(array, (len(array),))
        except ValueError as error:  # rows of different lengths, too
            told = str(error) if isinstance(error, SpaceError) else "has rows of different shapes"
            raise UserError(f"{self.name} {told}: {takes}") from None
        return array.astype(self.dtype)


@dataclass(frozen=True)
class Signature:
    """All inputs and outputs of a model, in their order."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    def as_json(self) -> dict[str, Any]:
        return {side: [value.as_json() for value in getattr(self, side)] for side in ("inputs", "outputs")}

    def check(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Inputs [N, ...] in the model's dtypes. Raises UserError for what does not fit, naming it."""
        names = names_of(self.inputs)
        if set(inputs) != set(names):
            raise UserError(f"the inputs are {sorted(inputs)}: it takes {names}")
        checked = {value.name: value.check(inputs[value.name]) for value in self.inputs}
        rows = {name: len(array) for name, array in checked.items()}
        if len(set(rows.values())) > 1:
            raise UserError(f"the inputs have {rows} rows: it takes as many of each")
        return checked


def names_of(values: Iterable[Value]) -> list[str]:
    """Their names, in order."""
    return [value.name for value in values]
