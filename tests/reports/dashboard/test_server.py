"""Who may read the dashboard, and how."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.dashboard.server import Dashboard
from tests.support.compared import write_run

NAME = "ppo_cartpole/20260101T000000Z-seed1-aaaa"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Dashboard]:
    write_run(tmp_path / "runs" / NAME, 100.0)
    (tmp_path / "secret.txt").write_text("a secret")
    yield from serving(Dashboard(tmp_path / "runs", "127.0.0.1", 0))


def serving(server: Dashboard) -> Iterator[Dashboard]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(server: Dashboard, path: str, method: str = "GET", host: str | None = None) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    connection.putrequest(method, path, skip_host=True)
    if host != "":
        connection.putheader("Host", host or f"127.0.0.1:{server.server_address[1]}")
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), text


def test_the_pages_are_there_with_a_strict_policy(server: Dashboard) -> None:
    for path, kind in (
        ("/", "html"),
        (f"/run/{NAME}", "html"),
        (f"/compare?run={NAME}", "html"),
        ("/style.css", "css"),
    ):
        status, headers, text = ask(server, path)
        assert (status, headers["Content-Type"]) == (200, f"text/{kind}; charset=utf-8"), path
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert len(text.encode()) == int(headers["Content-Length"])


def test_head_is_the_same_without_a_body(server: Dashboard) -> None:
    status, headers, text = ask(server, "/style.css", "HEAD")
    assert (status, text) == (200, "")
    assert int(headers["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "ANYTHING"])
def test_it_is_read_only(method: str, server: Dashboard) -> None:
    status, headers, text = ask(server, "/", method)
    assert status == 405
    assert "read-only" in text
    assert "Content-Security-Policy" in headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil", "", "a@localhost"]
)
def test_another_name_than_that_of_this_machine_is_refused(host: str, server: Dashboard) -> None:
    status, _, text = ask(server, "/", host=host)
    assert status == 421
    assert "ppo_cartpole" not in text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8321", "127.0.0.1:1", "[::1]:80"])
def test_the_names_of_this_machine_are_taken(host: str, server: Dashboard) -> None:
    assert ask(server, "/", host=host)[0] == 200


def test_any_name_is_taken_where_that_was_asked_for(tmp_path: Path) -> None:
    for server in serving(Dashboard(tmp_path / "runs", "127.0.0.1", 0, any_name=True)):
        assert ask(server, "/", host="gpu-box.example")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt", "/run/../secret.txt", "/run/..%2fsecret.txt", "/run/%2e%2e/secret.txt", "/run//etc/passwd",
        "/run/%2fetc%2fpasswd", f"/run/{NAME}/config.json", f"/run/{NAME}/../../../secret.txt", "/run/%00",
        "/style.css/", "/reports/dashboard/server.py", "/run/", "/run",
    ],
)  # fmt: skip
def test_nothing_else_is_served(path: str, server: Dashboard) -> None:
    status, _, text = ask(server, path)
    assert status == 404
    assert "secret" not in text


def test_a_mistake_in_what_was_asked_is_one_line(server: Dashboard) -> None:
    assert ask(server, "/compare")[0] == 400
    assert ask(server, "/?" + "&".join(["run=a"] * 500))[0] == 400


def test_a_page_that_fails_tells_a_reader_nothing(
    server: Dashboard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: object) -> str:
        raise RuntimeError("at /home/me/secret")

    monkeypatch.setattr(server.pages, "all_runs", fails)
    status, _, text = ask(server, "/")
    assert (status, text) == (500, "this page cannot be shown\n")
    assert "RuntimeError: at /home/me/secret" in capsys.readouterr().err
