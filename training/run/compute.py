"""How a run computes: on which device, with how many threads, compiled or not.

What is left to "auto" is decided once and recorded in the run, which computes so again when it is resumed: other
threads and other kernels give other last bits. The numbers in the rules are measured, see docs/performance.md.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from training import learners, native
from training.errors import UserError
from training.machine import cores_here
from training.run.run import Run
from training.state import State

LARGE_FROM_MULTIPLICATIONS = 2**24
"""In one forward pass of a gradient step; below, GPU kernels wait longer than they compute."""
THREADS_FROM_MULTIPLICATIONS = 2**26
"""Likewise; below, threads wait for each other longer than they compute on a machine that does other work too. Measured
by benchmarks/costs/threads.py."""
COMPILE_FROM_OPTIMIZER_STEPS = 20_000
"""In the whole run, where a gradient step of critic and actor counts as two. Compiling then saves about as much time as
it takes without its cache, and several times what it takes with it. The rule does not ask whether the cache knows the
function already: the same command would give other bits on another day."""


@dataclass(frozen=True)
class Compute:
    """What was chosen: all that computes is told by this, so that nothing is asked twice."""

    device: torch.device
    threads: int
    """Of torch, on the CPU."""
    compile: bool
    """Whether loss, gradient and update are one compiled function."""

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"computing on {self.device}, {threads}, {'compiled' if self.compile else 'not compiled'}"


class OnDevice:
    """The part of a run that says when its device keeps it from going on to the bit."""

    def __init__(self, device: torch.device) -> None:
        self._type = device.type
        self.inexact: list[str] = []

    def state_dict(self) -> State:
        return {"type": self._type}

    def load_state_dict(self, state: State) -> None:
        if self._type != "cpu":
            self.inexact = ["resumed on a GPU, whose kernels need not give the same bits twice"]


def multiplications_of(network: nn.Module, samples: int) -> int:
    """Of one forward pass: samples times parameters, which is too few where weights are shared between places."""
    return samples * sum(parameter.numel() for parameter in network.parameters())


def require_gpu() -> None:
    """Raises UserError where there is none."""
    if not torch.cuda.is_available():
        raise UserError("device = 'cuda': torch sees no GPU here; it takes 'cpu' or 'auto'")


def choose_device(
    run: Run, asked: Literal["auto", "cpu", "cuda"], *, multiplications: int = LARGE_FROM_MULTIPLICATIONS
) -> torch.device:
    """`auto` takes a GPU where there is one, for large networks: small ones are faster on the CPU.

    Several learners each take one whatever the size, as that is what they talk to each other through.

    Args:
        run: where it is recorded.
        asked: which one, or "auto".
        multiplications: of one forward pass of a gradient step; without it the network is taken to be large.

    Raises:
        UserError: a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    pays = multiplications >= LARGE_FROM_MULTIPLICATIONS or learners.count() > 1
    name = run.choose("device", lambda: ("cuda" if available and pays else "cpu") if asked == "auto" else asked)
    if name == "cuda":
        require_gpu()
    return torch.device(name)


def choose_threads(run: Run, asked: int | Literal["auto"], *, multiplications: int) -> int:
    """Sets torch's threads on the CPU; `auto` takes all cores for very large networks and one for others.

    Args:
        run: where it is recorded.
        asked: how many, or "auto".
        multiplications: of one forward pass of a gradient step.
    """
    threads = run.choose("threads", lambda: threads_for(multiplications) if asked == "auto" else asked)
    torch.set_num_threads(threads)
    return threads


def threads_for(multiplications: int) -> int:
    """What `auto` takes for a network of this size, whatever else the machine does: the load of a moment would decide
    about the bits of the run.

    Threads wait for each other at the end of every product. Where another process has the core of one of them, that
    lasts some milliseconds, however small the product is. It is bearable only where those that wait sleep instead of
    taking the core that they wait for, which experiments/__init__.py asks for.
    """
    return cores() if multiplications >= THREADS_FROM_MULTIPLICATIONS else 1


def cores() -> int:
    """How many may be computed on: OMP_NUM_THREADS, or those that this process may use."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return int(limit) if limit.isdecimal() and int(limit) else cores_here()


def choose_compile(
    run: Run, asked: bool | Literal["auto"], *, possible: bool, at_once: bool, optimizer_steps: int
) -> bool:
    """`auto` compiles when the run is long enough to pay for it, and always where it is done `at_once`; `possible`: on
    a CPU and with such optimizers.

    Without a C++ compiler nothing is compiled, which is said on stderr when it was asked for. Raises UserError when a
    run that was compiled is resumed there.
    """
    missing = _missing_for_compiling()
    if asked is True and missing:
        print(f"warning: compile = True: {missing} is missing here; not compiling", file=sys.stderr)
    pays = at_once or optimizer_steps >= COMPILE_FROM_OPTIMIZER_STEPS
    wanted = (possible and pays) if asked == "auto" else asked
    chosen = run.choose("compile", lambda: wanted and not missing)
    if chosen and missing:
        raise UserError(f"{run.folder} was compiled, and {missing} is missing here to go on with")
    return chosen


def choose_precision(
    run: Run, asked: Literal["auto", "float32", "bf16"], device: torch.device
) -> Literal["float32", "bf16"]:
    """Of the forward pass; `auto` takes bf16 where the device multiplies in it, instead of only imitating it."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return run.choose("precision", lambda: ("bf16" if native else "float32") if asked == "auto" else asked)


def _missing_for_compiling() -> str | None:
    """What the compiler for CPUs (TorchInductor) does not find here."""
    if shutil.which(native.compiler()) is None:
        return f"the C++ compiler {native.compiler()}"
    header = Path(sysconfig.get_path("include"), "Python.h")
    return None if header.exists() else f"{header} (the package python3-dev)"
