"""A page in headless Chromium, which runs as long as a test wants: asked in JavaScript through its DevTools."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium")
LIMIT_S = 120.0


def asked_of_page(
    url: str, questions: Sequence[str], profile: Path, until: str, picture: Path | None = None, *, dark: bool = False
) -> tuple[list[Any], list[str]]:
    """The answers to expressions in JavaScript once `until` is true, and what the page complained of meanwhile."""
    assert CHROMIUM is not None
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--window-size=900,900"]
    told = ["--remote-debugging-port=0", "--remote-allow-origins=*", "--enable-logging=stderr", "--no-proxy-server"]
    theme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    errors = profile.with_suffix(".log")
    with errors.open("w") as log:
        browser = subprocess.Popen([CHROMIUM, *quiet, *told, *theme, url], stderr=log, stdout=log)
    try:
        answers = asyncio.run(_ask(profile / "DevToolsActivePort", [until], questions, picture))
    finally:
        browser.terminate()
        browser.wait()
    return answers, [line for line in errors.read_text(errors="replace").splitlines() if "CONSOLE" in line]


async def _ask(port_file: Path, until: Sequence[str], questions: Sequence[str], picture: Path | None) -> list[Any]:
    deadline = time.monotonic() + LIMIT_S
    while not port_file.exists() or not port_file.read_text().strip():
        assert time.monotonic() < deadline, "the browser did not start"
        await asyncio.sleep(0.1)
    port = port_file.read_text().split()[0]
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json") as response:
            (page,) = [one for one in await response.json() if one["type"] == "page"]
        async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:

            async def call(method: str, **params: Any) -> Any:
                await socket.send_json({"id": 1, "method": method, "params": params})
                while (answer := await socket.receive_json()).get("id") != 1:
                    pass
                return answer["result"]

            async def value(question: str) -> Any:
                found = await call("Runtime.evaluate", expression=question, returnByValue=True)
                return found["result"].get("value")

            while not await value(until[0]):
                assert time.monotonic() < deadline, f"it is never so: {until[0]}"
                await asyncio.sleep(0.2)
            answers = [await value(question) for question in questions]
            if picture is not None:
                taken = await call("Page.captureScreenshot", format="png")
                picture.write_bytes(base64.b64decode(taken["data"]))
            return answers
