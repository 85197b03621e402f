"""A search on Ray Tune: Optuna proposes, ASHA or population-based training decides, and every trial is a run.

A trial is a child process `python -m experiments train` with a run folder of its own; the actor that Tune holds only
reads its log. Ending it is the signal that saves any run, going on is `resume`, and population-based training
(Jaderberg et al. 2017, https://arxiv.org/abs/1711.09846) is `resume` of a copy of another trial's run with other rates.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

# Before ray is imported, which reads some of them then: runs keep their folder, Tune writes no logs beside theirs,
# Ctrl-C is ours, what a kill may lose is seconds, and trials that ask for no GPU of their own share what is there.
os.environ |= {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

from ray import tune
from ray.tune import schedulers

from training.cluster import child_process
from training.core import Budget, Counters, Unit
from training.errors import UserError
from training.numbers import duration
from training.options import as_options
from training.run.checkpoint import newest_first
from training.run.console import Console
from training.run.files import read_json, write_json
from training.run.folder import find_checkpoint, read_settings
from training.run.forecast import Forecast
from training.run.logger import read_rows
from training.run.result import read_result
from training.search_space import Choice, Integer, LogUniform, Range, Space, decode

LOOK_EVERY_S = 0.1
COPY_TIMEOUT_S = 60.0
REDUCTION = 3
"""ASHA lets the best third of the trials go on at each of its rungs."""


@dataclass(frozen=True)
class Trials:
    """What all trials of a search share."""

    package: str
    experiment: str
    options: tuple[str, ...]
    """Of every trial, beside what is drawn."""
    space: Space
    metric: str
    mode: Literal["max", "min"]
    unit: Unit
    budget: int
    interval: int
    """Between two evaluations, in `unit`."""
    folder: Path
    """Holds the run folders. All nodes of a cluster must see it."""
    timeout_s: float
    """A trial that measures nothing for so long is ended."""
    cwd: str
    path: tuple[str, ...]
    """Where Python finds the package."""


@dataclass(frozen=True)
class Found:
    """A trial that came to its end."""

    run: Path
    score: float
    values: Mapping[str, Any]
    """What was drawn, by the keys of the config."""
    history: Mapping[str, Sequence[tuple[float, float]]]
    """Of every rate of population-based training: the fraction of the budget from which, and its value."""


class Trial(tune.Trainable):
    """One trial as Tune sees it; `step` returns at the next evaluation of its run, and in the end when that is over.

    Where the budget is spent there is only the end, lest it be made to go on from another that has spent it too.
    """

    def setup(self, config: Mapping[str, Any]) -> None:
        self._trials: Trials = config["trials"]
        self._values = decode(self._trials.space, config)
        self._seed = config["seed"]
        self._run: Path = self._trials.folder / self.trial_id
        self._begin_with: Path | None = None
        self._reported = 0
        self._process: subprocess.Popen[bytes] | None = None

    def step(self) -> dict[str, Any]:
        process = self._process = self._process or self._start()
        deadline = time.monotonic() + self._trials.timeout_s
        while True:
            ended = process.poll()  # first: what it wrote before it ended is read below
            row = self._next_row()
            if row is not None:
                self._reported = int(row["updates"])
                count = int(row[self._trials.unit])
                if count < self._trials.budget:
                    return {"score": row[self._trials.metric], self._trials.unit: count}
                deadline = time.monotonic() + self._trials.timeout_s  # for its last evaluation
                continue
            if ended is not None:
                return self._result(ended)
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self._run} measured nothing for {self._trials.timeout_s:g} s")
            time.sleep(LOOK_EVERY_S)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """A copy of the run as it was at the last evaluation that Tune knows; it lies beside the runs."""
        copy = self._copy_run()
        saved = {"trial": self.trial_id, "run": str(self._run), "copy": str(copy), "updates": self._reported}
        write_json(Path(checkpoint_dir, "trial.json"), saved)

    def load_checkpoint(self, checkpoint: str) -> None:  # type: ignore[override]
        """Goes on with its own run, or with the copy of another trial's."""
        saved = read_json(Path(checkpoint, "trial.json"))
        self._reported = saved["updates"]
        run, copy = Path(saved["run"]), Path(saved["copy"])
        if saved["trial"] == self.trial_id:
            self._run = run
        else:
            self._begin_with, self._run = copy, self._trials.folder / f"{self.trial_id}-{copy.name}"

    def cleanup(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(child_process.END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        trials = self._trials
        if (self._run / "config.json").exists():
            words = ["resume", str(self._run)]
        else:
            shutil.rmtree(self._run, ignore_errors=True)  # a kill left it before it was a run
            words = ["train", trials.experiment, f"--seed={self._seed}", "--tracker=none", *trials.options]
            if self._begin_with is not None:
                words = ["resume", str(self._begin_with)]
            words += [f"--run-dir={self._run}", *as_options(self._values)]
        path = os.pathsep.join([*trials.path, *(place for place in sys.path if place)])
        with self._log.open("ab") as log:
            return subprocess.Popen(
                child_process.command(trials.package, *words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=trials.cwd if Path(trials.cwd).exists() else None,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
            )

    @property
    def _log(self) -> Path:
        return self._run.with_name(self._run.name + ".log")

    def _next_row(self) -> dict[str, float] | None:
        """The first evaluation that was not reported yet."""
        file = self._run / "metrics.jsonl"
        rows = read_rows(file) if file.exists() else []
        return next((row for row in rows if self._trials.metric in row and row["updates"] > self._reported), None)

    def _result(self, code: int) -> dict[str, Any]:
        if code != 0:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines() or ["nothing was said"]
            raise RuntimeError(f"{self._run.name}: exit code {code}: {lines[-1].removeprefix('error: ')}")
        result = read_result(self._run)
        count = result["counters"][self._trials.unit]
        score = result["metrics"][self._trials.metric]
        return {"score": score, self._trials.unit: count, "done": True, "finished": str(self._run)}

    def _copy_run(self) -> Path:
        """The run with the first checkpoint since the last reported evaluation, which is saved right after it."""
        deadline = time.monotonic() + COPY_TIMEOUT_S
        while time.monotonic() < deadline:
            since = [folder for folder in newest_first(self._run / "checkpoints") if int(folder.name) >= self._reported]
            if since:
                copy: Path = self._trials.folder / f"{self._run.name}@{since[-1].name}"
                if copy.exists() or _copied(self._run, since[-1], copy):
                    return copy
            time.sleep(LOOK_EVERY_S)
        raise RuntimeError(f"{self._run} saved no checkpoint at its evaluation")


def search(
    trials: Trials,
    *,
    scheduler: Literal["asha", "pbt", "none"],
    samples: int,
    first: Mapping[str, Any] | None,
    seeds: Sequence[int],
    jobs: int,
    gpus: float,
    time_s: float,
    later: int = 0,
) -> list[Found]:
    """Draws, trains and stops trials until there were enough or the time is up; the trials that ended, best first.

    Called again with the same folder it continues. Ray must be connected.

    Args:
        trials: what they share.
        scheduler: who decides which trials go on: asha, pbt or nobody.
        samples: how many trials; with pbt, which copies the better over the worse, the size of the population.
        first: what the first trial draws.
        seeds: of the trials: with pbt one for each, otherwise all have the first.
        jobs: how many are trained at a time.
        gpus: of each of them, may be a fraction.
        time_s: the limit of this call.
        later: so many whole runs come after it, which the ETA covers.

    Raises:
        UserError: no trial came to its end; says what the first that failed had to say.
    """
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what fails is told in one line, and is in its log
    # An actor costs nothing beside the process that it starts.
    warnings.filterwarnings("ignore", message="Consider boosting PBT performance")
    population = scheduler == "pbt"
    space = {"trials": trials, **{key: _domain(values) for key, values in trials.space.items()}}
    random.seed(seeds[0])  # population-based training draws from it
    how = tune.TuneConfig(
        metric="score",
        mode=trials.mode,
        num_samples=1 if population else samples,
        # A population is there as a whole and takes turns on what CPUs there are.
        max_concurrent_trials=None if population else jobs,
        time_budget_s=time_s,
        scheduler=_scheduler(trials, scheduler),
        search_alg=None
        if population
        else OptunaSearch(points_to_evaluate=[dict(first)] if first else None, seed=seeds[0]),
        trial_dirname_creator=lambda trial: str(trial.trial_id),
    )
    trainable = tune.with_resources(Trial, {"cpu": 1, "gpu": gpus})
    kept = trials.folder / "tune"
    if tune.Tuner.can_restore(str(kept)):
        tuner = tune.Tuner.restore(str(kept), trainable, resume_unfinished=True)
    else:
        shutil.rmtree(kept, ignore_errors=True)
        space["seed"] = tune.grid_search(list(seeds)) if population else seeds[0]
        told = tune.RunConfig(
            name=kept.name,
            storage_path=str(trials.folder),
            verbose=0,
            callbacks=[_Told(trials, len(seeds) if population else samples, later)],
        )
        tuner = tune.Tuner(trainable, param_space=space, tune_config=how, run_config=told)
    results = tuner.fit()
    found = [
        _found(trials, result)
        for result in map(results.__getitem__, range(len(results)))
        if (result.metrics or {}).get("finished")
    ]
    if not found:
        failed = [str(error).splitlines()[-1] for error in results.errors]
        raise UserError(f"no trial came to its end: {failed[0] if failed else f'time_s = {time_s:g} is too short'}")
    return sorted(found, key=lambda one: one.score, reverse=trials.mode == "max")


class _Told(tune.Callback):
    """Says on stderr what became of each trial, and when all that comes will be over."""

    def __init__(self, trials: Trials, samples: int, later: int) -> None:
        self._trials, self._samples, self._later, self._ended = trials, samples, later, 0
        self._forecast = Forecast(Budget(samples * trials.budget, trials.unit))
        self._console: Console | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_console": None}  # Tune keeps it for a restore

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._console = self._console or Console("sweep")
        if self._console.is_live:
            running = sum(trial.status == "RUNNING" for trial in trials)
            self._console.show(f"{self._ended}/{self._samples} trials over, {running} running  {self._eta(trials)}")

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        counts = [self._count(one) for one in trials if one is not trial]
        done = sum(counts) + int(result.get(self._trials.unit, 0))
        self._forecast.trained(time.monotonic(), Counters().advance(**{self._trials.unit: done}))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        last = trial.last_result
        how = "" if last.get("finished") else f", stopped at {last.get(self._trials.unit, 0):,} {self._trials.unit}"
        drawn = " ".join(as_options(decode(self._trials.space, trial.config)))
        self._say(f"{self._trials.metric} {last.get('score', float('nan')):.6g}{how}: {drawn}", trials)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._say(f"failed, see {self._trials.folder / trial.trial_id}.log", trials)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        if self._console:
            self._console.close()

    def _say(self, what: str, trials: list[Any]) -> None:
        self._ended += 1
        print(f"trial {self._ended} of {self._samples}: {what} ({self._eta(trials)})", file=sys.stderr)

    def _eta(self, trials: list[Any]) -> str:
        """A trial that is not over is taken to be trained as long as those were that are, with what comes later."""
        budget, pace_s = self._trials.budget, self._forecast.pace_s
        if pace_s is None:
            return "ETA –"
        over = [self._count(trial) for trial in trials if trial.is_finished()]
        usual = sum(over) / len(over) if over else budget
        going_on = [max(0.0, usual - self._count(trial)) for trial in trials if not trial.is_finished()]
        work = sum(going_on) + usual * max(0, self._samples - len(trials)) + self._later * budget
        return f"ETA {duration(work * pace_s)}"

    def _count(self, trial: Any) -> int:
        """How far a trial is."""
        return int((trial.last_result or {}).get(self._trials.unit, 0))


class _Population(schedulers.PopulationBasedTraining):
    """Population-based training whose members do not wait for ever for one that failed, as Ray's do."""

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        trials = tune_controller.get_trials()
        failed = [trial for trial in trials if trial.status == "ERROR"]
        for trial in failed:
            state = self._trial_state[trial]
            state.last_train_time = max(state.last_train_time, int(self._next_perturbation_sync))
        chosen = super().choose_trial_to_run(tune_controller)
        left = [trial for trial in trials if not trial.is_finished()]
        if failed and chosen is None and left and all(trial.status == "PAUSED" for trial in left):
            # It was the last that they waited for: the result of one of them is the last one now.
            self.on_trial_result(tune_controller, left[0], left[0].last_result)
            chosen = super().choose_trial_to_run(tune_controller)
        return chosen


def _scheduler(trials: Trials, kind: Literal["asha", "pbt", "none"]) -> Any:
    if kind == "asha":
        # Far past the budget: a trial that reaches that ends itself.
        return schedulers.ASHAScheduler(
            time_attr=trials.unit,
            max_t=10 * trials.budget,
            grace_period=trials.interval,
            reduction_factor=REDUCTION,
        )
    if kind == "pbt":
        return _Population(
            time_attr=trials.unit,
            perturbation_interval=trials.interval,
            hyperparam_mutations={key: _domain(values) for key, values in trials.space.items()},
            custom_explore_fn=partial(_inside, trials.space),
            synch=True,
            log_config=False,
        )
    return schedulers.FIFOScheduler()


def _domain(values: Range) -> Any:
    """The range as Tune knows it; of a choice, the index is drawn."""
    if isinstance(values, Choice):
        return tune.choice(list(range(len(values.values))))
    if isinstance(values, Integer):
        return (tune.lograndint if values.log else tune.randint)(values.low, values.high + 1)
    return (tune.loguniform if isinstance(values, LogUniform) else tune.uniform)(values.low, values.high)


def _inside(space: Space, config: dict[str, Any]) -> dict[str, Any]:
    """The config with its rates back inside their ranges, which Tune does not know when it perturbs."""
    return config | decode(space, config)


def _copied(run: Path, checkpoint: Path, copy: Path) -> bool:
    """Copies a run that goes on meanwhile; False when it removed the checkpoint before that was read, or, as a child
    that has only begun, has not written all its files yet."""
    unfinished = copy.with_name(copy.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        shutil.copytree(checkpoint, unfinished / "checkpoints" / checkpoint.name)
        for name in ("metrics.jsonl", "timing.jsonl", "config.json"):
            shutil.copy(run / name, unfinished / name)
    except (FileNotFoundError, shutil.Error):
        return False
    unfinished.rename(copy)
    return True


def _found(trials: Trials, result: Any) -> Found:
    run = Path(result.metrics["finished"])
    every, score = lives(run, trials.unit), float(result.metrics["score"])
    if len(every) == 1:
        return Found(run, score, decode(trials.space, result.config), {})
    # One that was copied when its budget was spent was not trained with what it drew then.
    trained = [(begun / trials.budget, config) for begun, config in every if begun < trials.budget]
    history = {key: [(begun, _value(config, key)) for begun, config in trained] for key in trials.space}
    values = {key: steps[-1][1] for key, steps in history.items()}
    return Found(run, score, values, history if len(trained) > 1 else {})


def lives(run: Path, unit: Unit) -> list[tuple[int, dict[str, Any]]]:
    """The configs with which a run was trained and when each began, from the first on."""
    settings = read_settings(run)
    if settings["parent"] is None:
        return [(0, settings["config"])]
    parent = Path(settings["parent"])
    begun = read_json(find_checkpoint(parent, "last") / "manifest.json")["counters"][unit]
    # What began there too was copied before it had gone on.
    before = [life for life in lives(parent, unit) if life[0] < begun]
    return [*before, (begun, settings["config"])]


def _value(config: dict[str, Any], key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = value[name]
    return value
