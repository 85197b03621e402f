"""Worker processes: their faults are named, and none of them is left."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors.vector import Arrays, EnvFault
from tests.support import ROOT

FAULTY = "tests.support.toy_envs:Faulty-v0"


def act(*actions: int) -> Arrays:
    return {"action": np.array(actions)}


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("raises", "it raised KeyError: 'lost'"),
        ("hangs", "it hangs: no answer within 5 s"),
        ("dies", "the process of env 5 was killed by SIGKILL"),
    ],
)
def test_faults_in_workers_are_named_and_no_process_is_left(how: str, what: str) -> None:
    limit_s = 5 if how == "hangs" else 120  # one that is well may take long on a busy machine
    config = EnvConfig(FAULTY, kwargs={"how": how}, backend="subprocess", step_timeout_s=limit_s)
    vec = make_vec(config, 2, seed=0, first_env=4)
    workers = multiprocessing.active_children()
    assert workers
    vec.reset()
    vec.step(act(0, 0))
    with pytest.raises(EnvFault) as fault:
        vec.step(act(0, 1))
    expected = f"env 5 ({FAULTY}), episode 0, at step 2, action 1: {what}"
    # How many environments share a process depends on the machine.
    assert str(fault.value).replace("envs 4 to 5", "env 5") == expected
    assert how != "raises" or 'raise KeyError("lost")' in "".join(fault.value.__notes__)
    assert not multiprocessing.active_children()
    # What was there before the fault can still be saved.
    assert vec.state_dict()["episode_steps"][0] in (1, 2)
    vec.close()


def test_a_long_replay_is_no_hang() -> None:
    config = EnvConfig(FAULTY, kwargs={"how": "slow"}, backend="subprocess", step_timeout_s=0.7)
    vec = make_vec(config, 1, seed=0)
    vec.reset()
    for _ in range(4):
        vec.step(act(1))
    vec.load_state_dict(vec.state_dict())
    assert vec.inexact == []
    assert vec.episode_steps.tolist() == [4]
    vec.close()


def test_a_worker_killed_between_steps_is_a_fault_and_ctrl_c_does_not_reach_it() -> None:
    vec = make_vec(EnvConfig(FAULTY, backend="subprocess"), 1, seed=0)
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    vec.reset()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker.pid, number)
    vec.step(act(0))
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(EnvFault, match="was killed by SIGKILL"):
        vec.step(act(0))
    assert not multiprocessing.active_children()


PARENT = """
import multiprocessing, os, signal, sys, threading
import numpy as np
from envs.config import EnvConfig
from envs.making import make_vec

if __name__ == "__main__":
    config = EnvConfig("tests.support.toy_envs:Faulty-v0", kwargs={"how": "hangs"}, backend="subprocess")
    vec = make_vec(config, 2, seed=0)
    vec.reset()
    print(*[process.pid for process in multiprocessing.active_children()], flush=True)
    if sys.argv[1] == "killed":
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGKILL)).start()
        vec.step({"action": np.ones(2, np.int64)})
"""


def running(pids: list[int]) -> Iterator[int]:
    for pid in pids:
        try:
            os.kill(pid, 0)
            yield pid
        except ProcessLookupError:
            pass


@pytest.mark.parametrize("end", ["killed", "exits"])
def test_workers_do_not_outlive_their_parent_even_while_they_hang(end: str, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), end]
    parent = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120, check=False
    )
    pids = [int(pid) for pid in parent.stdout.split()]
    assert pids
    assert parent.stderr == ""
    assert parent.returncode == (-signal.SIGKILL if end == "killed" else 0)
    deadline = time.monotonic() + 20
    while list(running(pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(running(pids))
