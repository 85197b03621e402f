"""Whether an environment is stepped by a compiled loop, and how much faster that is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from envs.checks.findings import Finding
from envs.checks.sample import Sample
from envs.config import EnvConfig
from envs.jitted import has_numba, jitted_class
from envs.making import find_batched, make_vec
from envs.vectors.batched import OBSERVE, STEP, BatchedVectorEnv
from training.errors import UserError
from training.extras import install_command

COPIES, SECONDS, CALLS = 64, 0.3, 20


def compile_first(config: EnvConfig) -> None:
    """Compiles a JittedEnv, so that its first step takes no longer than others."""
    with suppress(UserError):  # which is told by `check_compiling`
        find_batched(EnvConfig.of(config, backend="auto"))


def check_compiling(config: EnvConfig, sample: Sample) -> Iterator[Finding]:
    """Of a JittedEnv, and of what is batched here."""
    jitted = jitted_class(config.spec) is not None
    if jitted and not has_numba():
        yield Finding("advice", "compiling", "a JittedEnv that runs as Python here", f"Numba: {install_command('jit')}")
        return
    try:
        vec = make_vec(EnvConfig.of(config, backend="auto"), COPIES, seed=1)
    except UserError as error:  # of an environment that can be made: what Numba does not take
        told = str(error).partition(": ")[2]
        yield Finding("advice", "compiling", told, "numbers, arrays, math and numpy in advance and observe")
        return
    try:
        if isinstance(vec, BatchedVectorEnv) and vec.dynamics.compiled() is not None:
            if not sample.step_seconds:
                return
            many, one = COPIES * _calls_a_second(vec), sample.steps / sample.step_seconds
            told = f"{COPIES} copies are one loop: {many:,.0f} env steps a second, {many / one:,.0f} times as many"
            yield Finding("ok", "compiling", told)
        elif jitted:
            change = "no kwargs, wrappers, frame_stack and the like: what they do belongs into advance and observe"
            yield Finding("advice", "compiling", "a JittedEnv that is stepped copy by copy", change)
    finally:
        vec.close()


def _calls_a_second(vec: BatchedVectorEnv) -> float:
    """Of the step and the observation of all copies, as a loop with a policy calls them."""
    functions = vec.dynamics.compiled()
    assert functions is not None
    step, observe = STEP(functions[0]), OBSERVE(functions[1])
    vec.reset()
    state, _, _ = vec.arrays()
    first = state.copy()
    action = np.stack([vec.action_space.sample() for _ in range(COPIES)])
    reward, ended, obs = np.empty(COPIES), np.empty(COPIES, bool), vec.current().obs["obs"]
    stepped, began, calls = [array.ctypes.data for array in (state, action, reward, ended)], time.perf_counter(), 0
    while (spent := time.perf_counter() - began) < SECONDS:
        state[:] = first  # not far beyond the end of an episode, where nobody has tried it
        for _ in range(CALLS):
            step(COPIES, *stepped)
            observe(COPIES, COPIES, stepped[0], obs.ctypes.data)
        calls += CALLS
    return calls / spent
