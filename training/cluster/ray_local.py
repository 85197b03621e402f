"""A real Ray cluster on this machine, with one process group per node: `make cluster NODES=2`, `make cluster-down`.

It is for trying out what runs on clusters elsewhere. Only a process with Ray's token file can use it, as Ray's ports
are open on the machine's own address, not only on the loopback; the dashboard, which takes jobs, is on the loopback.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.errors import UserError
from training.extras import extra
from training.run.files import read_json, write_json

STATE = Path("runs", "cluster.json")
"""What was started: the addresses, and the process of every node with when it began."""
START_TIMEOUT_S = 240.0
STOP_TIMEOUT_S = 10.0
"""For leaving in good order, which Ray would take half a minute for; then the rest is killed."""
OBJECT_STORE_BYTES = 500_000_000


def start(nodes: int, *, state: Path = STATE) -> dict[str, Any]:
    """Starts the head and the other nodes, which share the CPUs, and waits until all are there.

    Returns:
        The contents of the state file: `address` for programs that join, `dashboard` for jobs, `nodes`.

    Raises:
        UserError: a cluster of this folder is running, the extra `cluster` is missing, or a node does not start.
    """
    if running := [node for node in read_json(state).get("nodes", []) if _is_alive(node)]:
        raise UserError(f"a cluster of {len(running)} nodes is running here: end it with make cluster-down")
    state.parent.mkdir(parents=True, exist_ok=True)
    port, client, dashboard = free_ports(3)
    cluster: dict[str, Any] = {
        "address": f"127.0.0.1:{port}",
        "dashboard": f"http://127.0.0.1:{dashboard}",
        "nodes": [],
    }
    cpus = max(1, (os.cpu_count() or 1) // nodes)
    head = ["--head", f"--port={port}", f"--ray-client-server-port={client}", "--include-dashboard=true"]
    head += ["--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
    _make_token()
    try:
        for number in range(nodes):
            if number:
                _wait_for_nodes(cluster, number)
            place = head if number == 0 else [f"--address={cluster['address']}"]
            log = state.with_name(f"cluster-node-{number + 1}.log")
            cluster["nodes"].append(_start_node(place, cpus, log))
            write_json(state, cluster)
        _wait_for_nodes(cluster, nodes)
    except BaseException:
        stop(state=state)
        raise
    return cluster


def stop(*, state: Path = STATE) -> int:
    """Ends the nodes that the state file names, and no other process; returns how many there were."""
    nodes = [node for node in read_json(state).get("nodes", []) if _is_alive(node)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for node in filter(_has_group, nodes):
            os.killpg(node["pid"], number)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while any(map(_has_group, nodes)) and time.monotonic() < deadline:
            time.sleep(0.1)
    state.unlink(missing_ok=True)
    return len(nodes)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _start_node(place: Sequence[str], cpus: int, log: Path) -> dict[str, Any]:
    """One node, all of whose processes are one group."""
    (agent,) = free_ports(1)
    words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", *place]
    words += [f"--num-cpus={cpus}", f"--object-store-memory={OBJECT_STORE_BYTES}"]
    words += [f"--dashboard-agent-listen-port={agent}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "RAY_AUTH_MODE": "token", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )
    return {"pid": process.pid, "began": _began(process.pid), "log": str(log)}


def _wait_for_nodes(cluster: dict[str, Any], count: int) -> None:
    """Waits until so many nodes are alive and the dashboard answers. Raises UserError when one ended or time is up."""
    os.environ["RAY_AUTH_MODE"] = "token"  # ray reads it once, when it is imported
    import ray
    from ray.util.state import list_nodes

    deadline = time.monotonic() + START_TIMEOUT_S
    alive = 0
    while time.monotonic() < deadline:
        for node in cluster["nodes"]:
            if not _is_alive(node):
                raise UserError(f"a node of the cluster did not start: see {node['log']}")
        try:
            alive = sum(node.state == "ALIVE" for node in list_nodes(cluster["dashboard"], timeout=10))
        except Exception:  # whatever Ray says of a head that is not there yet
            alive = 0
        if alive >= count:
            return
        time.sleep(0.5)
    raise UserError(f"{alive} of {count} nodes of Ray {ray.__version__} were there after {START_TIMEOUT_S:g} s")


def _make_token() -> None:
    """Makes Ray's token file unless there is one; what the command prints is the token, and is shown to nobody."""
    with extra("cluster"):
        import aiohttp  # noqa: F401 - what the command needs
    words = [sys.executable, "-m", "ray.scripts.scripts", "get-auth-token", "--generate"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def _is_alive(node: dict[str, Any]) -> bool:
    """Whether the process is the one that was started, and not another that got its number since."""
    began = _began(node["pid"])
    return began is not None and began == node["began"]


def _began(pid: int) -> str | None:
    """When a process began, None when there is none or it has ended."""
    told = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, began = told.stdout.strip().partition(" ")
    return None if not began or state.startswith("Z") else began.strip()


def _has_group(node: dict[str, Any]) -> bool:
    try:
        os.killpg(node["pid"], 0)
    except ProcessLookupError:
        return False
    return True


def main(argv: Sequence[str]) -> int:
    """`up --nodes N` or `down`."""
    parser = argparse.ArgumentParser(prog="python -m training.cluster.ray_local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up").add_argument("--nodes", type=int, default=2)
    commands.add_parser("down")
    options = parser.parse_args(argv)
    try:
        if options.command == "down":
            print(f"ended {stop()} nodes")
            return 0
        if options.nodes < 1:
            raise UserError(f"nodes = {options.nodes}: it takes at least 1")
        cluster = start(options.nodes)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.nodes} nodes; train on them with --ray-address {cluster['address']}")
    print(f"submit jobs with make submit ADDRESS={cluster['dashboard']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
