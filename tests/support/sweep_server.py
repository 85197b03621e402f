"""What `wandb agent` asks of a server, answered on this machine: one run of a sweep, and then the end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        data = self._data(json.loads(body), server) if body.startswith(b"{") else {}  # else it reports of its use
        answer = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _data(self, asked: dict[str, Any], server: Any) -> dict[str, Any]:
        if "agentHeartbeat" in asked["query"]:
            states = json.loads(asked["variables"]["runState"] or "{}")
            command = [] if states else [{"type": "exit"}] if server.begun else [server.command]
            server.begun = True
            return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(command)}}
        if "createAgent" in asked["query"]:
            return {"createAgent": {"agent": {"id": "agent"}}}
        if "sweep(" in asked["query"]:
            sweep = {"id": "sweep", "name": "sweep", "state": "RUNNING", "config": server.config, "runs": {"edges": []}}
            return {"project": {"sweep": {**sweep, "method": "random"}}}
        return {"viewer": {"entity": "us", "username": "us", "flags": "{}", "teams": {"edges": []}}}

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def sweep_server(command: list[str], arguments: dict[str, Any]) -> Iterator[str]:
    """The address of a server whose sweep has one run: `command`, with these values of the parameters."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        values = {name: {"value": value} for name, value in arguments.items()}
        run = {"type": "run", "run_id": "r4nd0m1d", "program": "experiments", "args": values}
        vars(server).update(command=run, config=yaml.safe_dump({"command": command}), begun=False)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
