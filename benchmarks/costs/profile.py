"""Where the time of a run goes: `python -m benchmarks.costs.profile EXPERIMENT [options of train]`.

The training code has no hooks for this. `fit` and `make_vec` are exchanged before the experiment is imported for
versions that time the public methods of what they are given and of what they make.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import envs.making
import training.fit
from training.core import Counters
from training.experiments import load_experiment
from training.metrics import Metrics

PARTS = {
    "env": "stepping the environments; a compiled loop steps them in acting",
    "acting": "the policy's actions and storing what happened",
    "update": "learning from the batch",
    "log": "reducing metrics and writing rows",
    "evaluation": "measuring the policy, with its environments",
    "checkpoint": "restoring and saving",
    "other": "the loop itself",
}
CALLS_FOR_COST = 100_000


class Timers:
    """Adds up the seconds and the calls of named parts; a part inside another is taken off the outer one."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls = 0
        self.first_ended: dict[str, float] = {}
        """When the first call of each part ended, by `time.perf_counter`."""
        self._running: str | None = None

    def timed(self, part: str, call: Callable[..., Any], *, within: str | None = None) -> Callable[..., Any]:
        """`call`, timed as `part` where `within` is what is running, and as part of that elsewhere."""

        def measure(*args: Any, **kwargs: Any) -> Any:
            if self._running != within:
                return call(*args, **kwargs)
            self._running = part
            began = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                ended = time.perf_counter()
                seconds = ended - began
                self.first_ended.setdefault(part, ended)
                self._running = within
                self.calls += 1
                self.seconds[part] += seconds
                if within is not None:
                    self.seconds[within] -= seconds

        return measure

    def watch(self, part: str, owner: Any, *methods: str, within: str | None = None) -> None:
        """Times methods of an object, on that object only."""
        for method in methods:
            setattr(owner, method, self.timed(part, getattr(owner, method), within=within))


class TimedEvaluation:
    """An `Evaluate` whose call is timed: a call cannot be exchanged on an object."""

    def __init__(self, evaluate: Any, timers: Timers) -> None:
        self.every, self.score, self.outlook = evaluate.every, evaluate.score, evaluate.outlook
        self._call = timers.timed("evaluation", evaluate)

    def __call__(self, algorithm: Any) -> Metrics:
        measured: Metrics = self._call(algorithm)
        return measured


def profile(argv: Sequence[str]) -> int:
    """Trains as `python -m experiments train` does with these words, then prints the table; returns the exit code."""
    timers = Timers()
    stages: list[tuple[Counters, float]] = []
    fit, make_vec = training.fit.fit, envs.making.make_vec

    def timed_make_vec(*args: Any, **kwargs: Any) -> Any:
        vec = make_vec(*args, **kwargs)
        timers.watch("env", vec, "send", "receive", within="acting")
        return vec

    def timed_fit(algorithm: Any, stream: Any, **kwargs: Any) -> Counters:
        timers.watch("acting", stream, "next", "learned")
        timers.watch("update", algorithm, "update")
        timers.watch("log", kwargs["log"], "add", "write")
        if kwargs.get("checkpoint") is not None:
            timers.watch("checkpoint", kwargs["checkpoint"], "restore", "save")
        if kwargs.get("evaluate") is not None:
            kwargs["evaluate"] = TimedEvaluation(kwargs["evaluate"], timers)
        began = time.perf_counter()
        now = fit(algorithm, stream, **kwargs)
        stages.append((now, time.perf_counter() - began))
        return now

    envs.making.make_vec, training.fit.fit = timed_make_vec, timed_fit
    try:
        from experiments.__main__ import main

        for name in argv[:1]:
            with suppress(Exception):  # `main` says what is wrong with it
                load_experiment(name, "experiments")
        imported_at = time.perf_counter()
        tracker = [] if any(word.startswith("--tracker") for word in argv) else ["--tracker=none"]
        code = main(["train", *argv, *tracker])
    finally:
        envs.making.make_vec, training.fit.fit = make_vec, fit
    if stages:
        print_profile(timers, env_steps=sum(now.env_steps for now, _ in stages), seconds=sum(s for _, s in stages))
    if "update" in timers.first_ended:
        until_update = timers.first_ended["update"] - imported_at
        print(f"the first update ended {until_update:.2f} s after the imports of the experiment")
    return code


def print_profile(timers: Timers, *, env_steps: int, seconds: float) -> None:
    """The table of the parts, and what measuring them cost."""
    spent = timers.seconds
    spent["other"] = seconds - sum(spent.values())
    per_env_step = 1e6 / env_steps if env_steps else 0.0
    print(f"\n{'part':<11} {'seconds':>8} {'percent':>8} {'us per env step':>16}")
    for part, what in PARTS.items():
        of_part = spent[part]
        share = 100 * of_part / seconds
        print(f"{part:<11} {of_part:>8.2f} {share:>7.1f}% {of_part * per_env_step:>16.2f}   {what}")
    print(f"{'all':<11} {seconds:>8.2f} {100:>7.1f}% {seconds * per_env_step:>16.2f}   {env_steps:,} env steps")
    cost = timers.calls * seconds_per_call()
    print(f"measuring: {timers.calls:,} timed calls took about {cost:.3f} s of these, {100 * cost / seconds:.1f}%")


def seconds_per_call() -> float:
    """What timing one call costs."""
    timers = Timers()
    nothing = timers.timed("nothing", int)
    began = time.perf_counter()
    for _ in range(CALLS_FOR_COST):
        nothing()
    return (time.perf_counter() - began) / CALLS_FOR_COST


if __name__ == "__main__":
    sys.exit(profile(sys.argv[1:]))
