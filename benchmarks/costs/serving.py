"""How fast a served model answers: `python -m benchmarks.costs.serving URL [CLIENTS ...]` prints a table.

Each client sends the next request when it has the answer to the last one, for a number of seconds, so the load is
bounded by the number of clients. What was refused because too much waited (503) is counted apart.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.space_json import space_from_json
from envs.spaces import leaves

CLIENTS = (1, 16, 64)
SECONDS = 10.0
OK, OVERLOAD = 200, 503


@dataclass(frozen=True)
class Load:
    """What so many clients measured."""

    clients: int
    requests_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    overloaded: int
    failed: int


async def measure(url: str, clients: int, seconds: float) -> Load:
    """Answers per second and their latencies; a failure is every answer that is neither 200 nor 503."""
    import aiohttp

    took_ms: list[float] = []
    answers: list[int] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=clients)) as session:
        async with session.get(f"{url}/schema") as response:
            body = example(await response.json())
        until = time.perf_counter() + seconds

        async def client(number: int) -> None:
            asked = {**body, "session": f"client {number}"} if "session" in body else body
            while time.perf_counter() < until:
                began = time.perf_counter()
                async with session.post(f"{url}/act", json=asked) as answer:
                    await answer.read()
                answers.append(answer.status)
                if answer.status == OK:
                    took_ms.append(1e3 * (time.perf_counter() - began))

        await asyncio.gather(*(client(number) for number in range(clients)))
    p50, p95, p99 = np.percentile(took_ms, [50, 95, 99]) if took_ms else [np.nan] * 3
    overloaded = answers.count(OVERLOAD)
    failed = len(answers) - overloaded - len(took_ms)
    return Load(clients, len(took_ms) / seconds, float(p50), float(p95), float(p99), overloaded, failed)


def example(schema: dict[str, Any]) -> dict[str, Any]:
    """A request of one row, of zeros or what is nearest to them."""
    body: dict[str, Any] = {}
    for value in schema["inputs"]:
        (leaf,) = leaves(space_from_json(value["space"]))
        number = leaf.start if leaf.counts is not None else 0
        body[value["name"]] = (np.zeros((1, *leaf.shape), leaf.dtype) + number).tolist()
    if schema.get("sessions"):
        body["session"] = "client"
    return body


def main(argv: Sequence[str]) -> int:
    """Prints a line for each number of clients."""
    if not argv:
        print("usage: python -m benchmarks.costs.serving URL [CLIENTS ...]", file=sys.stderr)
        return 2
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs, {SECONDS:g} s each")
    print("clients  answers/s  p50 ms  p95 ms  p99 ms  503  failed")
    for clients in map(int, argv[1:] or CLIENTS):
        one = asyncio.run(measure(argv[0], clients, SECONDS))
        print(
            f"{one.clients:7}  {one.requests_per_s:9.0f}  {one.p50_ms:6.1f}  {one.p95_ms:6.1f}  {one.p99_ms:6.1f}"
            f"  {one.overloaded:3}  {one.failed:6}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
