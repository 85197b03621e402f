"""The energy meter of a run: joules by hardware counters where they can be read, and else by a model that says so.

The model: a busy core takes 4 W, between 1.5 and 8. CodeCarbon assumes 4 W a thread; the vCPUs of the clouds take
between 0.7 W idle and 4.3 W busy in the coefficients of Cloud Carbon Footprint, without what a desktop's boost adds.
Memory takes 0.3 W for each GiB that is held, between 0.19 and 0.54 (Boavizta 0.28, Cloud Carbon Footprint 0.39). CPU
seconds do not depend on what else the machine does. What the model leaves out: disks, network, mainboard, an idle
machine that waits.

Nothing of it enters `metrics.jsonl`, which is the same bytes for the same run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from training import learners
from training.energy.account import Energy, Estimate, last_told
from training.energy.counters import Gpu, Rapl
from training.energy.intensity import EnergyOptions
from training.energy.processes import usage_now
from training.state import State

CORE_W = (4.0, 1.5, 8.0)
MEMORY_W_PER_GIB = (0.3, 0.19, 0.54)
LEAST_INTERVAL_S = 1.0
MOST_INTERVAL_S = 60.0
"""RAPL's counters begin anew after minutes under full load."""
WORK_PER_COST = 2_000.0
"""So many CPU seconds the process works for each that a look costs, before the next."""
GIB = 2**30


class Look(NamedTuple):
    """What was seen when it was last measured."""

    at_s: float
    cpu_s: float
    resident_bytes: int
    machine_busy_s: float


class Instruments:
    """What measures this process and all that it started. The stages of a run share them, so that what was spent since
    the last look is charged once, to the one that looks.

    Args:
        core_w: watts of a busy core, the least and the most, where no counter can be read.
        powercap: where RAPL's counters are; None: where Linux has them.
    """

    def __init__(self, core_w: tuple[float, float, float] = CORE_W, powercap: Path | None = None) -> None:
        self._core_w = core_w
        self._rapl = Rapl() if powercap is None else Rapl(powercap)
        self._gpu: Gpu | None = None
        self._last, self._cost_s, self._worked_s = self._look(), 0.0, time.process_time()

    @property
    def is_due(self) -> bool:
        """Whether it is time to look again."""
        waited_s, worked_s = time.monotonic() - self._last.at_s, time.process_time() - self._worked_s
        due = waited_s >= LEAST_INTERVAL_S and worked_s >= WORK_PER_COST * self._cost_s
        return due or waited_s >= MOST_INTERVAL_S

    def spent_since_last(self) -> Energy:
        """What was spent since it was last asked."""
        began_s = time.thread_time()
        now, before = self._look(), self._last
        cpu_s = max(0.0, now.cpu_s - before.cpu_s)  # a process whose parent did not wait for it takes its time along
        self._last = now._replace(cpu_s=max(now.cpu_s, before.cpu_s))
        held = (now.resident_bytes + before.resident_bytes) / 2 / GIB * (now.at_s - before.at_s)
        spent = {"cpu": self._cpu(cpu_s, now, before), "memory": Estimate(*MEMORY_W_PER_GIB).times(held)}
        sources = frozenset({"rapl" if self._rapl.readable else "model", "model"})
        not_counted: frozenset[str] = frozenset()
        if (gpu := self._used_gpu()) is not None and gpu.why_not is None:
            joules = gpu.joules_since_last()
            spent["gpu"] = Estimate(joules, joules, joules)
            sources |= {"nvml"}
        elif gpu is not None:
            not_counted |= {f"the GPU ({gpu.why_not})"}
        self._cost_s, self._worked_s = time.thread_time() - began_s, time.process_time()
        return Energy(spent, cpu_s, sources, not_counted, metering_cpu_s=self._cost_s)

    def _look(self) -> Look:
        used, busy_s = usage_now(), 0.0
        if self._rapl.readable:
            machine = psutil.cpu_times()
            busy_s = sum(getattr(machine, kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq", "steal"))
        return Look(time.monotonic(), used.cpu_s, used.resident_bytes, busy_s)

    def _cpu(self, cpu_s: float, now: Look, before: Look) -> Estimate:
        """Of the counted packages this run's share of all busy seconds; at least its share of all cores' seconds, which
        charges nobody for idle ones, and at most all of it."""
        if not self._rapl.readable:
            return Estimate(*self._core_w).times(cpu_s)
        joules = self._rapl.joules_since_last()
        busy_s = max(cpu_s, now.machine_busy_s - before.machine_busy_s)
        all_s = max(busy_s, (psutil.cpu_count() or 1) * (now.at_s - before.at_s))
        return Estimate(joules * cpu_s / busy_s, joules * cpu_s / all_s, joules) if busy_s else Estimate(0, 0, joules)

    def _used_gpu(self) -> Gpu | None:
        """The GPU, once this process computes on one."""
        if self._gpu is None:
            import torch

            if torch.cuda.is_available() and torch.cuda.is_initialized():
                self._gpu = Gpu()
        return self._gpu


class EnergyMeter:
    """Joules of a run over all its segments, with what was spent on work that a kill undid.

    Args:
        folder: of the run, whose `timing.jsonl` says what an earlier process spent after its last checkpoint.
        given: the energy options that were given, as `config.json` keeps them.
        instruments: those of the run that this is a stage of; None: its own.

    Several learners are added up whenever a checkpoint is saved, and at the end.
    """

    def __init__(
        self,
        folder: Path | None = None,
        given: Mapping[str, Any] | None = None,
        instruments: Instruments | None = None,
    ) -> None:
        self.options = EnergyOptions(**(given or {}))
        watts = self.options.watts_per_core
        self.instruments = instruments or Instruments(CORE_W if watts is None else (watts, watts, watts))
        self._told = last_told(folder) if folder is not None else Estimate()
        self._before, self._own, self._others = Energy(), Energy(), Energy()
        self._lost = self._told

    @property
    def energy(self) -> Energy:
        """Of the whole run, as of the last look."""
        return (self._before + self._own + self._others)._replace(lost=self._lost)

    def tick(self) -> None:
        """To be called often: it looks when it is time to."""
        if self.instruments.is_due:
            self.measure()

    def measure(self) -> None:
        """Counts what was spent since the last look."""
        self._own += self.instruments.spent_since_last()

    def gather(self) -> None:
        """Takes what the other learners spent; all of them call it."""
        self.measure()
        if learners.count() > 1:
            everybody = [Energy.of(told) for told in learners.gathered(self._own.as_state())]
            self._others = sum(everybody[1:], everybody[0]).without(self._own)

    def state_dict(self) -> State:
        self.gather()
        return self.energy.as_state()

    def load_state_dict(self, state: State) -> None:
        self._before = Energy.of(state)
        self._lost = self._before.lost + self._told.beyond(self._before.joules)
