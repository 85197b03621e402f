"""How many env steps a second there would be with more workers: measured costs and a formula.

`python -m benchmarks.costs.scaling` measures the costs, compares the formula with real training at 1, 2 and 4 workers,
and writes docs/results/scaling/costs.json and the tables of docs/scaling.md. A synchronous iteration takes

    t = broadcast(W) + fragment(W) + H * n * step + W * H * n * update

for W workers with n environments each and a horizon of H; asynchronously the workers' part and the learner's overlap:

    t = max(H * n * step, broadcast(W) + fragment(W) + W * H * n * update)

Either way there are W * H * n / t env steps a second, as long as every worker has a core, and the network and the
object store carry the bytes.
"""

from __future__ import annotations

import re
import time
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import torch

from agents.acting.collector import LocalCollector, make_group
from agents.acting.rollouts import Rollouts
from agents.ppo import PPO, PPOConfig
from benchmarks.costs.ray_costs import make_collector, make_policy
from envs.config import EnvConfig
from training.cluster.ray_session import connected
from training.core import Batch, Budget, Counters
from training.run.files import write_json
from training.run.provenance import ROOT, describe_environment

HORIZON, ENVS = 64, 4
SLEEPING = EnvConfig("benchmarks.costs.slow_envs:Sleeping-v0")
INSTANT = replace(SLEEPING, kwargs={"busy": False, "seconds": 0.0})
MEASURED_WORKERS = (1, 2, 4)
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000, 2_000, 5_000, 10_000)
ROUNDS = 30
NETWORK_BYTES_PER_SECOND = 1.25e9
"""Ten gigabits."""
OBJECT_STORE_BYTES = 20e9
"""Of the learner's node."""
WORKERS_PER_NODE = 32


@dataclass(frozen=True)
class Costs:
    """In seconds; what grows with the number of workers has a part for each of them."""

    broadcast: float
    """Weights into the object store."""
    broadcast_per_worker: float
    """And out of it."""
    fragment: float
    fragment_per_worker: float
    """Asking for a worker's part of a rollout, taking it and joining it to the others."""
    step: float
    """One env step of a worker, with its share of the policy's call."""
    update: float
    """Learning from one env step."""
    fragment_bytes: float
    weights_bytes: float

    def learner_s(self, workers: int) -> float:
        """Of an iteration, what the learner's process does."""
        asked = self.broadcast + self.fragment + workers * (self.broadcast_per_worker + self.fragment_per_worker)
        return asked + workers * HORIZON * ENVS * self.update

    def worker_s(self) -> float:
        """Of an iteration, what a worker does."""
        return HORIZON * ENVS * self.step

    def env_steps_per_second(self, workers: int, *, asynchronous: bool = False) -> float:
        learner, worker = self.learner_s(workers), self.worker_s()
        return workers * HORIZON * ENVS / (max(learner, worker) if asynchronous else learner + worker)

    def busiest(self, workers: int) -> str:
        """What an asynchronous iteration waits for, and what would have to carry more than it can."""
        iteration = max(self.learner_s(workers), self.worker_s())
        nodes = -(-workers // WORKERS_PER_NODE)
        sent = workers * self.fragment_bytes + nodes * self.weights_bytes
        full = [
            ("the network", sent / iteration > NETWORK_BYTES_PER_SECOND),
            # Two parts of every worker, and the weights of some versions.
            ("the object store", 2 * workers * self.fragment_bytes + 4 * self.weights_bytes > OBJECT_STORE_BYTES),
        ]
        waits = "the learner" if self.learner_s(workers) > self.worker_s() else "the workers"
        return ", ".join([waits, *(name for name, is_full in full if is_full)])


def measure() -> Costs:
    """On this machine: with environments that take no time, and the local step and the update apart.

    Of one and two workers, as more of them would wait for a core.
    """
    one, two = _round_trips(1), _round_trips(2)
    (broadcast, broadcast_per_worker), (fragment, fragment_per_worker) = map(line, one[:2], two[:2])
    step, update = _local_step(), _update()
    return Costs(
        broadcast=broadcast,
        broadcast_per_worker=broadcast_per_worker,
        fragment=fragment,
        fragment_per_worker=fragment_per_worker,
        step=step,
        update=update,
        fragment_bytes=one[2],
        weights_bytes=one[3],
    )


def line(one: float, two: float) -> tuple[float, float]:
    """What a cost is without workers and what each adds, from those of one and of two; neither is below zero."""
    each = max(0.0, two - one)
    return (one - each, each) if each <= one else (0.0, two / 2)


def _round_trips(workers: int) -> tuple[float, float, float, float]:
    """Seconds of a broadcast and of the fragments beside the steps themselves; bytes of a fragment and of weights."""
    with closing(make_collector(workers, 1, group_size=ENVS, env=INSTANT)) as collector:
        policy = make_policy(collector, 1)
        batch: Batch = {}
        with_weights, without = [], []
        for version in range(ROUNDS):
            began = time.perf_counter()
            collector.publish(policy, version)
            collector.collect(HORIZON)
            published = time.perf_counter()
            batch, _ = collector.collect(HORIZON)
            with_weights.append(published - began)
            without.append(time.perf_counter() - published)
        own = _local_step(INSTANT) * HORIZON * ENVS
    fragment_bytes = sum(value.nbytes for value in batch.values()) / workers
    weights_bytes = sum(parameter.nbytes for parameter in policy.parameters())
    broadcast, fragment = median(with_weights) - median(without), median(without) - own
    return max(0.0, broadcast), max(0.0, fragment), fragment_bytes, weights_bytes


def _local_step(env: EnvConfig = SLEEPING) -> float:
    collector = LocalCollector(lambda index: make_group(env, ENVS, seed=1, index=index))
    with closing(collector):
        collector.publish(make_policy(collector, 1), 0)
        times = []
        for _ in range(ROUNDS // 3):
            began = time.perf_counter()
            collector.collect(HORIZON)
            times.append(time.perf_counter() - began)
    return median(times) / (HORIZON * ENVS)


def _update() -> float:
    collector = LocalCollector(lambda index: make_group(INSTANT, 4 * ENVS, seed=1, index=index))
    with closing(collector):
        policy = make_policy(collector, 1)
        collector.publish(policy, 0)
        agent = PPO(policy, PPOConfig(horizon=HORIZON, epochs=1), until=Budget(10**9), seed=1)
        batch, _ = collector.collect(HORIZON)
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            agent.update(batch, Counters())
            times.append(time.perf_counter() - began)
    return median(times) / batch["reward"].numel()


def real(workers: int) -> float:
    """Env steps a second of real training with the sleeping environment."""
    with closing(make_collector(workers, 1, group_size=ENVS, env=SLEEPING)) as collector:
        policy = make_policy(collector, 1)
        agent = PPO(policy, PPOConfig(horizon=HORIZON, epochs=1), until=Budget(10**9), seed=1)
        rollouts, now, times = Rollouts(collector, policy, HORIZON), Counters(), []
        for _ in range(ROUNDS // 3):
            began = time.perf_counter()
            batch, after, _ = rollouts.next(now)
            agent.update(batch, now)
            now = after.advance(updates=1)
            times.append(time.perf_counter() - began)
    return workers * HORIZON * ENVS / median(times)


def tables(costs: Costs, measured: dict[int, float]) -> str:
    """The measured costs, the check and the prediction in Markdown."""
    million = 1e6
    rows = [
        ("weights into the object store", f"{costs.broadcast * million:.0f} µs"),
        ("weights out of it, each worker", f"{costs.broadcast_per_worker * million:.0f} µs"),
        ("a rollout asked for", f"{costs.fragment * million:.0f} µs"),
        ("a worker's part asked for, taken and joined", f"{costs.fragment_per_worker * million:.0f} µs"),
        ("a worker's env step", f"{costs.step * million:.0f} µs"),
        ("learning from an env step", f"{costs.update * million:.2f} µs"),
        ("size of a worker's part", f"{costs.fragment_bytes / 1e3:.0f} kB"),
        ("size of the weights", f"{costs.weights_bytes / 1e3:.0f} kB"),
    ]
    lines = ["| cost | measured |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]
    lines += ["| workers | measured env steps/s | formula | ratio |", "|---|---|---|---|"]
    for workers, speed in measured.items():
        said = costs.env_steps_per_second(workers)
        lines.append(f"| {workers} | {speed:,.0f} | {said:,.0f} | {said / speed:.2f} |")
    lines += ["", "| workers | synchronous, env steps/s | asynchronous, env steps/s | waits for |", "|---|---|---|---|"]
    for workers in WORKERS:
        sync, free = (costs.env_steps_per_second(workers, asynchronous=lag) for lag in (False, True))
        lines.append(f"| {workers:,} | {sync:,.0f} | {free:,.0f} | {costs.busiest(workers)} |")
    return "\n".join(lines)


def main() -> None:
    """Measures, and writes what was measured and predicted."""
    torch.set_num_threads(1)
    environment = describe_environment()
    with connected(None, cpus=MEASURED_WORKERS[-1]):
        costs = measure()
        measured = {workers: real(workers) for workers in MEASURED_WORKERS}
    write_json(
        ROOT / "docs/results/scaling/costs.json",
        {
            "command": "python -m benchmarks.costs.scaling",
            "horizon": HORIZON,
            "envs_per_worker": ENVS,
            "costs": asdict(costs),
            "measured": measured,
            "environment": environment,
        },
    )
    page: Path = ROOT / "docs/scaling.md"
    text = tables(costs, measured)
    between = re.compile(r"(<!-- scaling -->\n).*?(<!-- /scaling -->)", re.DOTALL)
    page.write_text(between.sub(rf"\g<1>{text}\n\g<2>", page.read_text(encoding="utf-8")), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
