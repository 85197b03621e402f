"""What `wandb agent` asks of a server, answered on this machine: one run of a sweep, and then the end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from tests.support.wandb_server import WandbServer


class _SweepServer(WandbServer):
    def __init__(self, command: list[str], arguments: dict[str, Any]) -> None:
        super().__init__()
        values = {name: {"value": value} for name, value in arguments.items()}
        run = {"type": "run", "run_id": "r4nd0m1d", "program": "experiments", "args": values}
        self._config, self._waiting = yaml.safe_dump({"command": command}), [run]

    def answer(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        query = asked.get("query", "")
        if "agentHeartbeat" in query:
            trains = json.loads(asked["variables"]["runState"] or "{}")
            commands = [] if trains else [self._waiting.pop() if self._waiting else {"type": "exit"}]
            return {"data": {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(commands)}}}
        if "createAgent" in query:
            return {"data": {"createAgent": {"agent": {"id": "agent"}}}}
        if "sweep(" in query:
            sweep = {"id": "sweep", "name": "sweep", "state": "RUNNING", "method": "random", "runs": {"edges": []}}
            return {"data": {"project": {"sweep": {**sweep, "config": self._config}}}}
        return super().answer(path, asked)


@contextmanager
def sweep_server(command: list[str], arguments: dict[str, Any]) -> Iterator[str]:
    """The address of a server whose sweep has one run: `command`, with these values of the parameters."""
    with _SweepServer(command, arguments) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.address
        server.shutdown()
