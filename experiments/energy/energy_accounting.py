"""The meter counts what the system counts: of a plain run, of one that was killed, of stages, and beside CodeCarbon.

PPO on CartPole is trained three times: in this process beside CodeCarbon, plainly in a process of its own, and once
more in one that is killed and then resumed. What the kernel says that these processes used is the truth; before a run
is made, a process imports for seconds, which the plain one measures.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.control import ppo_cartpole
from training.claims import Claim
from training.core import Counters, Every
from training.energy.account import last_told
from training.energy.intensity import JOULES_PER_KWH
from training.energy.processes import usage_now
from training.extras import extra
from training.run.checkpoint import CheckpointConfig
from training.run.files import read_json
from training.run.provenance import ROOT
from training.run.run import Run

KILL_AFTER = 0.55
"""Of the joules of the plain run."""
POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Config(ppo_cartpole.Config):
    """Not compiled, so that the three do the same work, whatever was compiled before."""

    compile: bool | Literal["auto"] = False
    threads: int | Literal["auto"] = 1
    env_steps: int = 150_000
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(8_192))


# Within what a busy machine makes of the same work. CodeCarbon samples the load of a process, and takes 4 W a thread.
CLAIMS = (
    Claim("resumed_without_lost/relative_difference", "<=", 0.05, seeds=5),
    Claim("resumed_to_the_kernel/relative_difference", "<=", 0.05, seeds=5),
    Claim("stages/relative_difference", "<=", 0.01, seeds=5),
    Claim("codecarbon_cpu/relative_difference", "<=", 0.15, seeds=5),
    Claim("metering/part_of_cpu_seconds", "<=", 0.002, seeds=5),
)


def train(config: Config, run: Run) -> None:
    """Two stages, the one beside CodeCarbon and the comparison of the two processes."""
    began_s, trained = usage_now().cpu_s, []
    beside, compared = run.stage("beside"), run.stage("compared")
    if not beside.finished:
        codecarbon_j = _beside_codecarbon(config, beside)
        beside.add_to_result("codecarbon_cpu_j", codecarbon_j)
        trained.append(beside)
    measured = _processes(config)
    counters = Counters(**beside.result["counters"])
    compared.finish(counters, metrics=measured)
    told, used_s = beside.result, usage_now().cpu_s - began_s
    stages_s = sum(stage.result["energy"]["cpu_s"] for stage in (*trained, compared))
    energy, codecarbon_j = told["energy"], told["codecarbon_cpu_j"]
    more = {
        "stages/relative_difference": abs(stages_s / used_s - 1),
        "codecarbon_cpu/relative_difference": abs(energy["parts_j"]["cpu"][0] / codecarbon_j - 1),
        "metering/part_of_cpu_seconds": energy["metering_cpu_s"] / energy["cpu_s"],
    }
    run.finish_as(compared, more)


def _beside_codecarbon(config: Config, stage: Run) -> float:
    """Trains, and returns the joules that CodeCarbon charges the processor with."""
    with extra("energy"):
        from codecarbon import OfflineEmissionsTracker
    tracker = OfflineEmissionsTracker(
        country_iso_code="USA", tracking_mode="process", measure_power_secs=1, save_to_file=False, log_level="error",
        allow_multiple_runs=True,
    )  # fmt: skip
    tracker.start()
    try:
        ppo_cartpole.train(config, stage)
    finally:
        tracker.stop()
    return float(tracker.final_emissions_data.cpu_energy) * JOULES_PER_KWH


def _processes(config: Config) -> dict[str, float]:
    """Trains plainly, and once more with a kill between; both beside what the kernel counted."""
    with tempfile.TemporaryDirectory() as scratch:
        plain, killed = Path(scratch, "plain"), Path(scratch, "killed")
        plain_s = _wait(_start(*_command(config, plain)))
        whole = read_json(plain / "result.json")["energy"]
        process = _start(*_command(config, killed))
        while _is_alive(process) and last_told(killed).value < KILL_AFTER * whole["energy_j"]:
            time.sleep(POLL_S)
        process.send_signal(signal.SIGKILL)
        killed_s = _wait(process)
        killed_s += _wait(_start("resume", str(killed)))
        resumed = read_json(killed / "result.json")["energy"]
    before_s = plain_s - whole["cpu_s"]  # what a process does before its run is made
    core_j = whole["parts_j"]["cpu"][0] / whole["cpu_s"]
    lost_s = resumed["lost_j"][0] / core_j
    return {
        "plain/energy_j": whole["energy_j"],
        "resumed/energy_j": resumed["energy_j"],
        "resumed/lost_j": resumed["lost_j"][0],
        "resumed_without_lost/relative_difference": abs(
            (resumed["energy_j"] - resumed["lost_j"][0]) / whole["energy_j"] - 1
        ),
        "resumed_to_the_kernel/relative_difference": abs((resumed["cpu_s"] + lost_s) / (killed_s - 2 * before_s) - 1),
    }


def _command(config: Config, folder: Path) -> list[str]:
    options = {
        "seed": config.seed,
        "env-steps": config.env_steps,
        "compile": config.compile,
        "threads": config.threads,
        "checkpoint.every.count": config.checkpoint.every.count,
        "tracker": "none",
        "run-dir": folder,
    }
    return ["train", "ppo_cartpole", *(f"--{name}={value}" for name, value in options.items())]


def _start(*words: str) -> subprocess.Popen[bytes]:
    own = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "experiments", *words]
    return subprocess.Popen(command, cwd=ROOT, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _is_alive(process: subprocess.Popen[bytes]) -> bool:
    """`poll` would take away what the kernel has to say of its end."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _wait(process: subprocess.Popen[bytes]) -> float:
    """The CPU seconds that the kernel counted of a process and its children, once it has ended."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime
