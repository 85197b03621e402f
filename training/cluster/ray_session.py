"""A connection to Ray: a small one that starts here and ends with the block, or one that is already running."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from training.errors import UserError
from training.run.provenance import ROOT

CONNECT_TIMEOUT_S = 10.0
"""How long the head of a cluster may take to answer at all; Ray itself would go on asking for minutes."""
_EXCLUDED = ["/runs", "/datasets", "/docs", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", "*.egg-info"]
"""Of the working directory, what no worker needs, beside what git ignores."""
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY")
"""Of NumPy's products: with another number their last bits may be others. How torch's wait for each other."""


class WorkersFailedError(RuntimeError):
    """Workers failed again and again, or none could be started."""


@contextmanager
def connected(address: str | None, *, cpus: int, gpus: int = 0, option: str = "ray_address") -> Iterator[None]:
    """Inside, `ray` is connected: to the cluster at `address`, or to a local one with so many CPUs and GPUs.

    Without an address it is the cluster at RAY_ADDRESS, which is set inside a Ray job, if there is one. A cluster is
    sent this working directory, unless the job has brought it along. A process that is connected already keeps its
    connection. Ctrl-C and termination reach who handled them before. Raises UserError where no cluster answers, which
    names the `option` that asked for it.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    # "local" and not None: a cluster that ended badly leaves an address behind, which None would try.
    address = cluster_address(address) or "local"
    _require_answer(option, address)
    with _same_signal_handlers():
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **_options(address, cpus, gpus))
        except (ConnectionError, RuntimeError, ValueError) as error:
            if address == "local":
                raise
            raise _no_cluster(option, address, str(error).partition("\n")[0]) from error
    try:
        yield
    finally:
        ray.shutdown()


def cluster_address(address: str | None) -> str | None:
    """Of the cluster that is joined: the one that was asked for, or that at RAY_ADDRESS; None: one starts here."""
    return address or os.environ.get("RAY_ADDRESS") or None


def _options(address: str, cpus: int, gpus: int) -> dict[str, Any]:
    if address == "local":
        return {"num_cpus": cpus, "num_gpus": gpus, "include_dashboard": False}
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        return {}
    return {"runtime_env": runtime_env()}


def runtime_env() -> dict[str, Any]:
    """What a cluster is sent: this working tree, and the threads of NumPy's products where they are set here."""
    variables = {name: os.environ[name] for name in _THREADS if name in os.environ}
    return {"working_dir": str(ROOT), "excludes": _EXCLUDED, "env_vars": variables}


def _require_answer(option: str, address: str) -> None:
    if address in ("local", "auto"):
        return
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()) or "/" in host:
        raise UserError(f"{option} = {address!r}: it takes HOST:PORT of a Ray head, or 'auto'", key=option)
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(option, address, str(error)) from error


def _no_cluster(option: str, address: str, why: str) -> UserError:
    return UserError(f"{option} = {address!r}: no Ray cluster answers there ({why})", key=option)


@contextmanager
def _same_signal_handlers() -> Iterator[None]:
    """Ray replaces that of SIGTERM: the run would end without a checkpoint."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            with suppress(TypeError):  # one that was not set from Python
                signal.signal(number, handler)
