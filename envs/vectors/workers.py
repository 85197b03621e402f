"""Worker processes that step sub-environments: arrays through shared memory, pipes for commands only.

Processes are spawned: nothing of this process (threads, GPU contexts, locks) leaks into them. The memory is anonymous,
so that nothing is left behind however the processes end. Workers ignore SIGINT and SIGTERM, which reach the whole
process group: it is the trainer who saves, and for that its environments must still answer. They end with `close`, with
the garbage collection of the vector env, with the interpreter, or when their parent dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.util import Finalize
from typing import Any, NamedTuple

from envs.config import EnvConfig
from envs.vectors.buffers import Buffers, Layout, shared_buffers
from envs.vectors.sub_env import EpisodeHistory, SubEnvs, row_fault
from envs.vectors.vector import EnvFault
from training import interruption
from training.errors import UserError

START_TIMEOUT_S = 300.0
"""A worker imports the platform and the environment's package first, on a machine that may be busy."""
CHECK_S = 0.2
"""How often it is asked whether a signal wants the run to end, where it can."""
CLOSE_TIMEOUT_S = 2.0
"""How long workers may take to close their environments before they are killed."""


class Failure(NamedTuple):
    """What a worker answers when a command failed."""

    message: str
    kind: type[Exception]
    """What it is raised as in the process that sent the command."""
    traceback: str


class Workers:
    """Steps the environments of all rows in processes, each of which holds neighbouring rows."""

    def __init__(self, config: EnvConfig, layout: Layout, *, seed: int, first_env: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.buffers, memory = shared_buffers(layout, lambda nbytes: context.RawArray(ctypes.c_uint8, nbytes))
        self._config, self._first_env = config, first_env
        count = min(os.cpu_count() or 1, layout.num_envs)
        bounds = [layout.num_envs * index // count for index in range(count + 1)]
        self._rows = [range(low, high) for low, high in itertools.pairwise(bounds)]
        self._pipes: list[Connection] = []
        self._processes: list[SpawnProcess] = []
        # Runs at garbage collection and at the interpreter's end, before multiprocessing waits for its children.
        self._stop = Finalize(self, _stop, args=(self._pipes, self._processes), exitpriority=100)
        for rows in self._rows:
            ours, theirs = context.Pipe()
            task = (theirs, config, layout, memory, rows, seed, first_env)
            process = context.Process(target=_work, args=task, daemon=True, name=_name(first_env, rows))
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        try:
            self._answers(START_TIMEOUT_S)
        except BaseException:
            self.close()
            raise

    def reset(self) -> None:
        self._send("reset")
        self._answers(self._config.step_timeout_s)

    def begin_step(self) -> None:
        self._send("step")

    def end_step(self) -> None:
        self._answers(self._config.step_timeout_s)

    def restore(self, history: EpisodeHistory) -> list[str]:
        self._send("restore", *(history.of(rows) for rows in self._rows))
        # It may take long, and nothing is lost where it is ended.
        answers = self._answers(self._config.step_timeout_s, may_end=True)
        return [reason for reasons in answers for reason in reasons]

    def close(self) -> None:
        self._stop()

    def _send(self, command: str, *histories: EpisodeHistory) -> None:
        for index, pipe in enumerate(self._pipes):
            try:
                pipe.send((command, histories[index] if histories else None))
            except OSError:
                raise self._death(index) from None

    def _answers(self, timeout_s: float, *, may_end: bool = False) -> list[Any]:
        """What each worker answers; where it may end, a signal that asks for it raises Interrupted meanwhile."""
        answers = [self._answer(index, timeout_s, may_end=may_end) for index in range(len(self._pipes))]
        for answer in answers:
            if isinstance(answer, Failure):
                error = answer.kind(answer.message)
                error.add_note(f"In the worker process:\n{answer.traceback}")
                raise error
        return answers

    def _answer(self, index: int, timeout_s: float, *, may_end: bool) -> Any:
        """A worker may take as long as it likes while its environments return: the timeout is for one call of one."""
        pipe, rows = self._pipes[index], slice(self._rows[index].start, self._rows[index].stop)
        calls = self.buffers.calls[rows].sum()
        while not _arrives(pipe, timeout_s, may_end=may_end):
            before, calls = calls, self.buffers.calls[rows].sum()
            if calls == before:
                raise self._fault(index, f"it hangs: no answer within {timeout_s:g} s")
        try:
            return pipe.recv()
        except (EOFError, OSError):
            raise self._death(index) from None

    def _death(self, index: int) -> EnvFault:
        process = self._processes[index]
        process.join(CLOSE_TIMEOUT_S)
        code = process.exitcode
        how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exited ({code})"
        return self._fault(index, f"the process of {process.name} {how}")

    def _fault(self, index: int, what: str) -> EnvFault:
        rows = self._rows[index]
        row = next((row for row in rows if self.buffers.busy[row]), rows[0])
        return row_fault(self.buffers, row, self._config.id, self._first_env + row, what)


def _arrives(pipe: Connection, timeout_s: float, *, may_end: bool) -> bool:
    """Whether something comes within the time."""
    if not may_end:
        return pipe.poll(timeout_s)
    deadline = time.monotonic() + timeout_s
    while not pipe.poll(max(0.0, min(CHECK_S, deadline - time.monotonic()))):
        interruption.check()
        if time.monotonic() > deadline:
            return False
    return True


def _name(first_env: int, rows: range) -> str:
    first, last = first_env + rows[0], first_env + rows[-1]
    return f"env {first}" if first == last else f"envs {first} to {last}"


def _stop(pipes: list[Connection], processes: list[SpawnProcess]) -> None:
    for pipe in pipes:
        with contextlib.suppress(OSError):  # it may have ended already
            pipe.send(("close", None))
    deadline = time.monotonic() + CLOSE_TIMEOUT_S
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
        process.close()
    for pipe in pipes:
        pipe.close()
    pipes.clear()
    processes.clear()


def _work(
    pipe: Connection, config: EnvConfig, layout: Layout, memory: Any, rows: range, seed: int, first_env: int
) -> None:
    """A worker's life: answers commands until it is told to close, its parent is gone or one of them fails."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sub_envs = SubEnvs(config, Buffers(layout, memory), rows, seed=seed, first_env=first_env)
    try:
        pipe.send(None)
        _answer_commands(pipe, sub_envs)
    except (EOFError, BrokenPipeError):
        pass  # the parent is gone
    except Exception as error:
        kind = next((kind for kind in (EnvFault, UserError) if isinstance(error, kind)), RuntimeError)
        pipe.send(Failure(str(error), kind, traceback.format_exc()))
    finally:
        sub_envs.close()


def _answer_commands(pipe: Connection, sub_envs: SubEnvs) -> None:
    commands: dict[str, Callable[[], None]] = {"reset": sub_envs.reset, "step": sub_envs.begin_step}
    while True:
        command, history = pipe.recv()
        if command == "close":
            return
        if command == "restore":
            pipe.send(sub_envs.restore(history))
        else:
            commands[command]()
            pipe.send(None)


def _end_with_parent() -> None:
    """Ends the process at once when the parent dies, even while an environment hangs."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
