"""Losses and gradients that are not finite: the error, and how it is noticed without waiting for the device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn


class NonFinite(RuntimeError):  # noqa: N818
    """A loss or a gradient is not finite. The parameters are as they were before `update` (counted from 1)."""

    def __init__(self, update: int, what: str) -> None:
        super().__init__(update, what)  # what it is made from again in another process
        self.update = update

    def __str__(self) -> str:
        return "update {}: {}".format(*self.args)


class DeferredCheck:
    """Notices the first update that is not finite without waiting for the device.

    The fused kernels make no update while `found_inf` is 1, and once it is 1 it stays so: the parameters remain as
    they were before that update. `check` reads the flag; `add` does so every 100 updates.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self._names = list(parameters)
        device = next(iter(parameters.values())).device
        self.bad = torch.zeros((), device=device)  # 1 from the first bad update on
        self._good_updates = torch.zeros((), device=device)  # since the last check
        self._measured = torch.zeros(1 + len(self._names), device=device)  # loss and norms, kept from the first bad one
        self._updates: list[int] = []  # since the last check

    def add(self, update: int, loss: Tensor, norms: Iterable[Tensor], norm: Tensor) -> None:
        """Takes one update's measures; `bad` then is the `found_inf` [] for it."""
        if len(self._updates) == 100:
            self.check()
        self._measured = torch.where(self.bad > 0, self._measured, torch.stack([loss.float(), *norms]))
        self.bad = torch.maximum(self.bad, 1.0 - torch.isfinite(loss + norm).float())
        self._good_updates += 1.0 - self.bad
        self._updates.append(update)

    def check(self) -> None:
        """Waits for the device. Raises NonFinite for the first update that is not finite."""
        if self.bad.item() > 0:
            loss, *norms = self._measured.tolist()
            raise NonFinite(self._updates[int(self._good_updates.item())], describe(loss, norms, self._names))
        self._updates.clear()
        self._good_updates.zero_()


def describe(loss: float, norms: Sequence[float], names: Sequence[str]) -> str:
    """What is not finite; `norms` are those of the gradients of the parameters `names`."""
    bad = [key for key, norm in zip(names, norms, strict=True) if not math.isfinite(norm)]
    found = [] if math.isfinite(loss) else [f"the loss is {loss}"]
    if bad:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        found.append(f"the norm of the gradient is not finite for {', '.join(bad[:5])}{more}")
    return "; ".join(found) or "the norm of the whole gradient is not finite"
