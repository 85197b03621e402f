"""Where tensors live."""

from __future__ import annotations

import torch

from training.core import UserError


def choose_device(name: str) -> torch.device:
    """The device called "auto", "cpu" or "cuda"; "auto" takes a GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device = 'cuda': torch sees no GPU here; it takes 'cpu' or 'auto'")
    return torch.device(name)
