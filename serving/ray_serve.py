"""A model behind HTTP on this machine, by Ray Serve: `/act`, `/schema`, `/health`, `/metrics`.

One replica answers, as it keeps the memories of sessions; requests that wait are answered together. When too many wait,
Serve answers 503 at once, and nothing that was accepted is dropped.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.cluster.ray_session import connected
from training.errors import UserError, require
from training.extras import extra

HOST = "127.0.0.1"
HTTP = {"ok": 200, "wrong": 400, "unknown": 404, "method": 405}


@dataclass(frozen=True)
class ServeConfig:
    """Where a model is served, and how many requests may wait."""

    port: int = 8123
    """On 127.0.0.1: whoever wants it elsewhere puts a proxy with authentication before it."""
    max_batch: int = 64
    """Requests that are answered together."""
    max_ongoing: int = 64
    """Requests that the replica holds at a time."""
    max_queued: int = 256
    """Requests that wait beside these; one more gets 503."""

    def __post_init__(self) -> None:
        require(0 < self.port < 65536, "port", self.port, "1 to 65535")
        for name in ("max_batch", "max_ongoing"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.max_queued >= 0, "max_queued", self.max_queued, "at least 0")


@contextmanager
def serving(checkpoint: Path, about: Mapping[str, Any], config: ServeConfig, *, action_mask: bool) -> Iterator[str]:
    """Inside, the model of a checkpoint is served; gives its address.

    Raises UserError where the port is taken, the extra is missing, or the checkpoint has nothing to serve.
    """
    from serving.loaded import module_of

    module_of(checkpoint, action_mask=action_mask)  # here, so that a mistake is one line and no server starts
    _require_free(config.port)
    with extra("serve"):
        from ray import serve
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    with connected(None, cpus=2, option="serve"):
        serve.start(http_options={"host": HOST, "port": config.port})
        try:
            deployment = serve.deployment(
                num_replicas=1,
                max_ongoing_requests=config.max_ongoing,
                max_queued_requests=config.max_queued,
                ray_actor_options={"num_cpus": 1},
            )(_Server)
            app = deployment.bind(str(checkpoint.absolute()), dict(about), config.max_batch, action_mask)
            serve.run(app, name="regimen", route_prefix="/")
            yield f"http://{HOST}:{config.port}"
        finally:
            serve.shutdown()


class _Server:
    """The replica."""

    def __init__(self, checkpoint: str, about: dict[str, Any], max_batch: int, action_mask: bool) -> None:
        import torch
        from ray import serve

        from serving.answers import Answers
        from serving.loaded import module_of
        from serving.model_file import as_call

        torch.set_num_threads(1)
        module, _ = module_of(Path(checkpoint), action_mask=action_mask)
        self._answers, self._about = Answers(as_call(module), module.signature), about

        @serve.batch(max_batch_size=max_batch, batch_wait_timeout_s=0.0)
        async def together(questions: list[Any]) -> list[Any]:
            return self._answers.answer(questions)

        self._together = together

    async def __call__(self, request: Any) -> Any:
        from starlette.responses import JSONResponse, PlainTextResponse

        path, began_s = request.url.path, time.perf_counter()
        if path == "/health":
            return JSONResponse({"status": "ok"})
        if path == "/schema":
            return JSONResponse({**self._about, **self._answers.schema()})
        if path == "/metrics":
            return PlainTextResponse(self._answers.prometheus())
        if path != "/act":
            told = f"unknown path {path}: it takes /act, /schema, /health or /metrics"
            return JSONResponse({"error": told}, HTTP["unknown"])
        if request.method != "POST":
            return JSONResponse({"error": f"{request.method} /act: it takes POST"}, HTTP["method"])
        try:
            question = self._answers.question(await request.body())
        except UserError as error:
            return JSONResponse({"error": str(error)}, HTTP["wrong"])
        answer = await self._together(question)
        self._answers.took(time.perf_counter() - began_s)
        return JSONResponse(answer)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(f"port = {port}: it takes one that is free ({error.strerror})") from None
