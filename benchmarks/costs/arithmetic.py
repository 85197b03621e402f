"""How near a gradient step is to the machine's arithmetic: `python -m benchmarks.costs.arithmetic [--threads N]`.

The denominator: the multiplications and additions of the matrix products in the step, six for each weight and sample
(two forward, four backward), at the rate at which this machine multiplies two float32 matrices of 1024 x 1024.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Literal

import torch
from gymnasium import spaces
from torch import nn

from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.ppo import PPO, PPOConfig
from training.core import Batch, Budget, Counters
from training.networks import NetworkConfig
from training.optimizer.config import with_compile
from training.seeding import generator

Way = Literal["eager", "compiler", "C++"]
WAYS: tuple[Way, ...] = ("eager", "compiler", "C++")
ROUNDS, CALLS = 9, 100
AT_ONCE = 16
OBSERVED, ACTIONS = 4, 2  # CartPole's
SHAPES = (((64, 64), 64), ((64, 64), 256), ((64, 64), 4096), ((256, 256), 256))
"""Hidden layers of actor and critic, and samples of a minibatch."""


def main(argv: Sequence[str]) -> int:
    """Prints the table; returns the exit code."""
    threads = int(argv[1]) if len(argv) == 2 and argv[0] == "--threads" and argv[1].isdecimal() else 1
    if argv and argv != ["--threads", str(threads)]:
        print(f"error: {' '.join(argv)}: it takes nothing, or --threads N", file=sys.stderr)
        return 2
    torch.set_num_threads(threads)
    rate = matrix_product_rate()
    print(f"matrix product of 1024 x 1024: {rate / 1e9:.0f} GFLOP/s on {threads} thread(s)")
    print(
        f"{'hidden':>10} {'minibatch':>9} {'products, us':>13} {'eager, us':>13} {'compiler, us':>13} {'C++, us':>13}"
    )
    for hidden, minibatch in SHAPES:
        flops = 6 * minibatch * sum(layer.weight.numel() for layer in layers(make_agent(hidden, minibatch).policy))
        limit = flops / rate * 1e6
        times = [step_us(hidden, minibatch, way) for way in WAYS if way != "C++" or threads == 1]
        shown = " ".join(f"{f'{spent:.0f} ({limit / spent:.0%})':>13}" for spent in times)
        print(f"{'x'.join(map(str, hidden)):>10} {minibatch:>9} {limit:>13.0f} {shown}")
    return 0


def matrix_product_rate() -> float:
    """Operations a second, of torch's float32 product of two square matrices."""
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    return 2 * 1024**3 / (call_us(lambda: torch.mm(a, b), calls=5) / 1e6)


def step_us(hidden: tuple[int, ...], minibatch: int, way: Way) -> float:
    """One gradient step of PPO with all that belongs to it: samples gathered, loss, gradient, clipping, Adam.

    In C++ it is one of sixteen, as many as are made in one call.
    """
    agent = make_agent(hidden, minibatch, way)
    rng = generator(0)
    data: Batch = {
        "obs": torch.randn(4 * minibatch, OBSERVED, generator=rng),
        "action": torch.randint(0, ACTIONS, (4 * minibatch,), generator=rng),
        **{key: torch.randn(4 * minibatch, generator=rng) for key in ("advantage", "return")},
        "log_prob": torch.full((4 * minibatch,), -0.7),
    }
    rows = torch.randperm(4 * minibatch, generator=rng)[:minibatch]
    optimizer, loss, prepare, kernel = agent._optimizer, agent._loss, agent._prepare, agent._kernel
    if kernel is not None:
        return call_us(lambda: kernel.steps(data, [rows] * AT_ONCE, Counters(), 0.2), CALLS // 10) / AT_ONCE
    return call_us(lambda: optimizer.step(loss, data, Counters(), rows, prepare))


def call_us(call: Callable[[], object], calls: int = CALLS) -> float:
    """The median over some rounds, after one call that may compile."""
    call()
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(calls):
            call()
        rounds.append((time.perf_counter() - began) / calls * 1e6)
    return median(rounds)


def make_agent(hidden: tuple[int, ...], minibatch: int, way: Way = "eager") -> PPO:
    """An agent for CartPole with PPO's defaults."""
    policy = ActorCritic(
        spaces.Box(-1, 1, (OBSERVED,)),
        spaces.Discrete(ACTIONS),
        ActorCriticConfig(network=NetworkConfig(hidden=hidden)),
        generator(1),
    )
    policy.has_kernels = way == "C++"
    config = with_compile(PPOConfig(minibatch_size=minibatch), way != "eager")
    return PPO(policy, config, until=Budget(10**9), seed=1)


def layers(policy: ActorCritic) -> list[nn.Linear]:
    """The linear layers of actor and critic."""
    return [module for module in policy.modules() if isinstance(module, nn.Linear)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
