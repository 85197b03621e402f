"""What threads of torch gain and lose by the size of a network: `python -m benchmarks.costs.threads [--largest N]`.

One table for the machine as it is and one beside a busy process. Each row compares gradient steps of a perceptron with
one thread and with all cores, in short pairs one after the other, so that what else the machine does meets both; what
counts is the median of their ratios. OMP_WAIT_POLICY=ACTIVE shows what it would be if threads spun while they wait.
`THREADS_FROM_MULTIPLICATIONS` in training/run/compute.py comes from these tables.
"""

from __future__ import annotations

import experiments  # noqa: F401 - first: it says how threads wait, which is read where torch is loaded

# isort: split
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

import torch
from torch import nn

from training.run.compute import cores, multiplications_of, threads_for

PAIRS = 7
TURN_S = 0.2
"""Of each half of a pair, at least; one step, where that takes longer."""
SHAPES = ((64, 64), (256, 256), (512, 256), (512, 1024), (1024, 1024), (2048, 2048))
"""Units of each of two hidden layers, and samples of a minibatch."""
INPUTS = 16
SPINS = "while True: pass"


def main(argv: Sequence[str]) -> int:
    """Prints both tables; returns the exit code."""
    if argv and not (len(argv) == 2 and argv[0] == "--largest" and argv[1].isdecimal()):
        print(f"error: {' '.join(argv)}: it takes nothing, or --largest N: log2 of multiplications", file=sys.stderr)
        return 2
    largest = 2 ** int(argv[1]) if argv else 2**62
    most = cores()
    if most == 1:
        print("this machine has one core: there is nothing to compare")
        return 0
    for title, beside in (("the machine as it is", 0), ("beside one busy process", 1)):
        with _busy(beside):
            print(f"\n{title}, {most} cores, load average {os.getloadavg()[0]:.1f}")
            times = f"{most}: times as fast"
            print(f"{'hidden':>11} {'minibatch':>9} {'log2 mult.':>10} {'1 thread, ms':>13} {times:>22} auto")
            for units, minibatch in SHAPES:
                size = multiplications_of(_network(units), minibatch)
                if size <= largest:
                    print(_row(units, minibatch, size, most), flush=True)
    return 0


def _row(units: int, minibatch: int, size: int, most: int) -> str:
    network, data = _network(units), torch.randn(minibatch, INPUTS)
    optimizer = torch.optim.Adam(network.parameters())
    for threads in (1, most):
        step_s(network, optimizer, data, threads, 0.0)
    pairs = [[step_s(network, optimizer, data, threads, TURN_S) for threads in (1, most)] for _ in range(PAIRS)]
    ratios = sorted(one / several for one, several in pairs)
    one_ms = 1e3 * median(one for one, _ in pairs)
    faster = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    shape = f"{units} x {units}"
    return f"{shape:>11} {minibatch:>9} {size.bit_length() - 1:>10} {one_ms:>13.2f} {faster:>22} {threads_for(size):>4}"


def step_s(
    network: nn.Module, optimizer: torch.optim.Optimizer, data: torch.Tensor, threads: int, turn_s: float
) -> float:
    """Seconds of a gradient step with so many threads, the mean of as many as a turn takes."""
    torch.set_num_threads(threads)
    began, steps = time.perf_counter(), 0
    while not steps or time.perf_counter() - began < turn_s:
        optimizer.zero_grad(set_to_none=True)
        network(data).square().mean().backward()
        optimizer.step()
        steps += 1
    return (time.perf_counter() - began) / steps


def _network(units: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(INPUTS, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, 1))


@contextmanager
def _busy(processes: int) -> Iterator[None]:
    """Inside, so many processes do nothing but compute."""
    running = [subprocess.Popen([sys.executable, "-c", SPINS]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
