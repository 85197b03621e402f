"""What wandb's client asks of a server while it sends a run, answered on this machine; it keeps the rows."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RUN = {"id": "run", "name": "seed-1", "displayName": "seed-1", "description": None, "sweepName": None}
PROJECT = {"id": "project", "name": "regimen", "entity": {"id": "us", "name": "us"}}


class WandbServer(ThreadingHTTPServer):
    """Takes one run, `seed-1`; `rows` is its history by position. One that is `broken` answers 500 to everything."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.rows: dict[int, dict[str, Any]] = {}
        self.broken = False

    def answer(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        if self.broken:
            return {}
        if path.endswith("file_stream"):
            for name, chunk in asked.get("files", {}).items():
                if "history" in name:
                    self.rows |= {
                        chunk["offset"] + place: json.loads(row) for place, row in enumerate(chunk["content"])
                    }
            return {}
        query = re.search(r"(?:query|mutation) (\w+)", asked.get("query", ""))
        match query and query[1]:
            case "RunResumeStatus":
                return {"data": {"model": {**PROJECT, "bucket": self._history()}}}
            case "UpsertBucket":
                bucket = {**RUN, "config": None, "historyLineCount": len(self.rows), "project": PROJECT}
                return {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
            case "CreateRunFiles":
                files = [{"name": name, "uploadUrl": f"{self.address}/{name}"} for name in asked["variables"]["files"]]
                return {"data": {"createRunFiles": {"runID": "run", "uploadHeaders": [], "files": files}}}
            case "Viewer":
                return {
                    "data": {
                        "viewer": {"id": "us", "entity": "us", "username": "us", "flags": "{}", "teams": {"edges": []}}
                    }
                }
        return {"data": {}, "errors": [{"message": "not here"}]}

    def _history(self) -> dict[str, Any] | None:
        if not self.rows:
            return None
        last, counts = json.dumps(self.rows[len(self.rows) - 1]), {"logLineCount": 0, "eventsLineCount": 0}
        tails = {"historyTail": json.dumps([last]), "eventsTail": "[]", "summaryMetrics": last, "tags": []}
        # Without this "t" the client takes the run for one that never began.
        return {**RUN, **counts, **tails, "historyLineCount": len(self.rows), "config": "{}", "wandbConfig": '{"t": 1}'}


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        answer = json.dumps(server.answer(self.path, json.loads(body) if body.startswith(b"{") else {})).encode()
        self.send_response(500 if server.broken else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST  # noqa: N815 - as the library calls them

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    """A server that runs during the block."""
    with WandbServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
