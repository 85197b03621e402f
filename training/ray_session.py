"""The Ray that a run uses: a cluster that it joins, or a small one on this machine that lives and dies with the run."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from training.core import UserError
from training.provenance import ROOT

EXCLUDED = ["/runs", "/datasets", "/docs", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", "*.egg-info"]
"""Of the working directory, what no worker needs, beside what git ignores."""


def connect(address: str | None, cpus: int) -> Callable[[], None]:
    """Joins a cluster, or starts one with so many CPUs on this machine; returns what undoes that.

    The cluster is the one at `address`, else at RAY_ADDRESS, which is set inside a Ray job. It is sent this working
    directory, unless a job has brought it along. A process that is connected already stays as it is. Ctrl-C and
    termination reach who handled them before. Raises UserError where no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        return lambda: None
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **_options(address, cpus))
    except (ConnectionError, RuntimeError, ValueError) as error:
        if address == "local":
            raise
        raise UserError(f"ray_address = {address!r}: no Ray cluster can be joined there ({error})") from error
    finally:
        # Ray would end the process at once, without a checkpoint.
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return ray.shutdown


def _options(address: str, cpus: int) -> dict[str, Any]:
    if address == "local":
        return {"num_cpus": cpus, "num_gpus": 0, "include_dashboard": False}
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        return {}
    return {"runtime_env": {"working_dir": str(ROOT), "excludes": EXCLUDED}}
