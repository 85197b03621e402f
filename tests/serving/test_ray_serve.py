"""A served model, over HTTP: refusals, sessions, overload and what comes after it."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.costs.serving import measure
from serving.ray_serve import ServeConfig, serving
from tests.support.exported import POLICIES, write_policy_run
from tests.support.packages import needs
from training.errors import UserError
from training.run.folder import find_checkpoint


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(url: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=60) as answer:
            content = answer.read()
            code = answer.status
    except urllib.error.HTTPError as error:
        content, code = error.read(), error.code
    return code, json.loads(content) if content.startswith((b"{", b"[")) else content.decode()


def test_a_taken_port_and_a_run_without_a_policy_are_one_line(tmp_path: Path) -> None:
    checkpoint = find_checkpoint(write_policy_run(tmp_path / "run", POLICIES["ppo"]()), "last")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = ServeConfig(port=taken.getsockname()[1])
        with (
            pytest.raises(UserError, match=f"port = {config.port}: it takes one that is free"),
            serving(checkpoint, {}, config, action_mask=False),
        ):
            pass
    for wrong in ({"port": 0}, {"max_batch": 0}, {"max_queued": -1}):
        with pytest.raises(UserError, match=f"{next(iter(wrong))} = "):
            ServeConfig(**wrong)


@pytest.mark.full
@needs("starlette", "serve")
def test_it_answers_refuses_and_recovers_from_too_much(tmp_path: Path) -> None:
    policy = POLICIES["lstm"]()
    checkpoint = find_checkpoint(write_policy_run(tmp_path / "run", policy), "last")
    config = ServeConfig(port=free_port(), max_ongoing=2, max_queued=4)
    with serving(checkpoint, {"experiment": "example"}, config, action_mask=False) as url:
        assert ask(f"{url}/health") == (200, {"status": "ok"})
        code, schema = ask(f"{url}/schema")
        assert (code, schema["experiment"], schema["sessions"]) == (200, "example", True)
        predict, rng = policy.predictor(), np.random.default_rng(0)
        for step in range(5):
            obs = rng.standard_normal(5).astype(np.float32)
            code, answer = ask(f"{url}/act", {"obs": [obs.tolist()], "session": "a", "is_first": step == 0})
            assert code == 200
            assert np.allclose(answer["action"][0], predict(obs), atol=1e-5)
        code, told = ask(f"{url}/act", {"obs": [[0, 0, 0, 0, float("nan")]], "session": "a"})
        assert (code, told["error"].split(":")[0]) == (400, "obs holds nan at [0, 4]")
        assert ask(f"{url}/act")[0] == 405
        assert ask(f"{url}/other")[0] == 404
        load = asyncio.run(measure(url, clients=60, seconds=3.0))
        assert load.overloaded > 0
        assert load.failed == 0
        assert ask(f"{url}/act", {"obs": [[0.0] * 5], "session": "b"})[0] == 200
        code, metrics = ask(f"{url}/metrics")
        assert "regimen_serve_refused 1\n" in metrics
        with pytest.raises(OSError, match="refused"), socket.create_connection((_own_address(), config.port), 5):
            pass


def _own_address() -> str:
    """Of this machine on its network: nobody listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
        return address
