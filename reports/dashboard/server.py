"""Who may read the dashboard, and how: GET and HEAD alone, from this machine unless something else was asked for."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from reports.dashboard.pages import NoSuchPage, Pages
from training.errors import UserError

LOCAL = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)
"""A page of another site whose name leads here (DNS rebinding) is told by its name."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STYLE = Path(__file__).with_name("style.css")
TIMEOUT_S = 20.0
MOST_FIELDS = 200


class Dashboard(ThreadingHTTPServer):
    """Serves the pages about the runs in a folder.

    Args:
        runs: the folder.
        host: the address on which it listens.
        port: on which; 0: any that is free.
        any_name: whether requests may call this machine by any name.
    """

    daemon_threads = True

    def __init__(self, runs: Path, host: str, port: int, *, any_name: bool = False) -> None:
        self.pages, self.lock, self.any_name = Pages(runs), threading.Lock(), any_name
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that goes away is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: Dashboard
    server_version, sys_version = "dashboard", ""
    timeout = TIMEOUT_S

    def do_GET(self) -> None:
        if not self.server.any_name and not LOCAL.fullmatch(self.headers.get("Host", "")):
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, "this is the dashboard of localhost, and of no other name\n")
            return
        asked = urlsplit(self.path)
        if asked.path == "/style.css":
            self._answer(HTTPStatus.OK, STYLE.read_text(encoding="utf-8"), "text/css")
            return
        try:
            with self.server.lock:
                page = self._page(unquote(asked.path), asked.query)
        except NoSuchPage:
            self._answer(HTTPStatus.NOT_FOUND, "there is no such page\n")
        except (UserError, ValueError) as error:  # ValueError: too many fields in the query
            self._answer(HTTPStatus.BAD_REQUEST, f"{error}\n")
        except Exception as error:  # a page that fails is no reason to end
            print(f"dashboard: {self.path!r}: {type(error).__name__}: {error}", file=sys.stderr)
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "this page cannot be shown\n")
        else:
            self._answer(HTTPStatus.OK, page, "text/html")

    do_HEAD = do_GET  # noqa: N815 - its name there

    def _page(self, path: str, query: str) -> str:
        fields = parse_qs(query, max_num_fields=MOST_FIELDS)
        if path == "/":
            return self.server.pages.all_runs(fields)
        if path == "/compare":
            return self.server.pages.compare(fields)
        if path.startswith("/run/"):
            return self.server.pages.run(path.removeprefix("/run/"))
        raise NoSuchPage(path)

    def _answer(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        content = text.encode()
        with contextlib.suppress(OSError):  # who asked may be gone
            self.send_response(status)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server answers itself, to another method than GET and HEAD among others, has the headers too."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code = HTTPStatus.METHOD_NOT_ALLOWED
        self.close_connection = True
        self._answer(HTTPStatus(code), "the dashboard is read-only: GET and HEAD\n" if code == 405 else f"{message}\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Requests are not logged."""
