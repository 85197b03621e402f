"""A connection to Ray: one that starts here and ends with the block, or a cluster that is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from training.core import UserError


@contextmanager
def connected(address: str | None, *, cpus: int) -> Iterator[None]:
    """Inside, `ray` is connected: to the cluster at `address`, or to a local one with so many CPUs.

    A process that is connected already keeps its connection. Raises UserError when nothing answers at the address.
    """
    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address is None:
        # "local" and not None: a cluster that ended badly leaves an address behind, which None would try.
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, **quiet)
    else:
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UserError(f"no Ray cluster answers at {address}: {str(error).splitlines()[0]}") from None
    try:
        yield
    finally:
        ray.shutdown()
