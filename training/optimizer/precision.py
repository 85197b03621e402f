"""The precision of the forward pass: the context in which a loss is computed, checked before anything is trained."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from training.errors import UserError


def autocast(device: torch.device, precision: str, name: str) -> AbstractContextManager[Any]:
    """The context of the forward pass. Raises UserError when the device cannot multiply in that precision."""
    if precision == "float32":
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    try:
        with warnings.catch_warnings():
            # Torch only warns about a precision that it does not know, and ignores it.
            warnings.simplefilter("error", UserWarning)
            context = torch.autocast(device.type, dtype)
            with context:
                one = torch.ones(1, 1, device=device)
                torch.mm(one, one)
    except (RuntimeError, UserWarning) as error:
        raise UserError(
            f"{name}.precision = {precision!r}: {device.type} cannot compute in it; use 'float32'"
        ) from error
    return context
