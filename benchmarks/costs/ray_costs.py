"""What Ray costs: weights to many workers, a fragment's way there and back, both beside the plainest way to do it.

The two sides are measured in one process, in turn, so that whatever else the machine does meets both alike.
`python -m benchmarks.costs.ray_costs KIND SEED FOLDER` is one run; KIND is `broadcast` or `fragment`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray

from agents.acting.collector import Collector, LocalCollector, make_group
from agents.acting.ray_collector import RayCollector
from agents.acting.ray_worker import Published, RolloutWorker, named_tensors
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from benchmarks.comparison.measurement import FILE, Measurement
from envs.config import EnvConfig
from training.cluster.ray_session import connected
from training.networks import NetworkConfig
from training.run.files import write_json
from training.seeding import generator

BROADCAST_WORKERS = 8
ROUNDS = 60
WARM_UP_ROUNDS = 5
CARTPOLE = EnvConfig("CartPole-v1")
WIDTH = 1_108
"""Of two layers in actor and critic: 10 MB of weights."""


def main(kind: str, seed: int, folder: Path) -> None:
    """Measures one kind and writes what both sides took."""
    with connected(None, cpus=BROADCAST_WORKERS):
        ours, peer = {"broadcast": broadcast, "fragment": fragment}[kind](seed)
        times: dict[str, list[float]] = {"ours": [], "peer": []}
        began_at = time.time()
        for round_ in range(WARM_UP_ROUNDS + ROUNDS):
            for side, act in (("ours", ours), ("peer", peer)):
                began = time.perf_counter()
                act()
                if round_ >= WARM_UP_ROUNDS:
                    times[side].append(time.perf_counter() - began)
    measured = {
        side: Measurement(ROUNDS, sum(seconds), 1, seconds[0], began_at, None) for side, seconds in times.items()
    }
    write_json(folder / FILE, {side: asdict(measurement) for side, measurement in measured.items()})


def broadcast(seed: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """A new version of 10 MB for 8 workers and one step of each; beside it, the same with a copy sent to each."""
    collector = make_collector(BROADCAST_WORKERS, seed)
    policy = make_policy(collector, seed, hidden=(WIDTH, WIDTH))
    description = {key: value for key, value in policy.save().items() if key != "weights"}
    actor_class: Any = ray.remote(num_cpus=0)(RolloutWorker)
    actors = [actor_class.remote(CARTPOLE, 1, seed, range(i, i + 1)) for i in range(BROADCAST_WORKERS)]
    ray.get([actor.begin.remote(0, None) for actor in actors])
    versions = iter(range(10**6))

    def ours() -> None:
        collector.publish(policy, next(versions))
        collector.collect(1)

    def peer() -> None:
        tensors = {name: tensor.detach().numpy() for name, tensor in named_tensors(policy).items()}
        copy = Published(description, tensors, has_kernels=False)
        ray.get([actor.collect.remote(copy, 1, "explore", with_log_prob=False) for actor in actors])

    return ours, peer


def fragment(seed: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """128 steps of 8 CartPoles on one worker, there and back; beside it, the same steps in this process."""
    there = make_collector(1, seed, group_size=8)
    here = LocalCollector(lambda index: make_group(CARTPOLE, 8, seed=seed, index=index))
    policy = make_policy(there, seed)
    for collector in (there, here):
        collector.publish(policy, 0)
    return lambda: there.collect(128), lambda: here.collect(128)


def make_collector(workers: int, seed: int, *, group_size: int = 1, env: EnvConfig = CARTPOLE) -> RayCollector:
    """`group_size` environments on each worker."""
    return RayCollector(
        env,
        group_size=group_size,
        groups_per_worker=1,
        workers=workers,
        seed=seed,
        address=None,
        timeout_s=60.0,
        max_replacements=0,
    )


def make_policy(collector: Collector, seed: int, *, hidden: tuple[int, ...] = (64, 64)) -> ActorCritic:
    """An actor-critic for the collector's spaces."""
    config = ActorCriticConfig(network=NetworkConfig(hidden=hidden))
    return ActorCritic(collector.observation_space, collector.action_space, config, generator(seed, "weights"))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
