"""A run and its folder: what was run, with what, how far it got and what came of it.

`runs/<group>/<id>/` holds `config.json` (everything needed to run it again), `environment.json` (the code, the
packages, the machine), `metrics.jsonl` and `timing.jsonl` (the Logger's), `checkpoints/`, `result.json` and `lock`.
A run of several stages has a folder `<nn>-<name>/` for each, with the same files but the environment and the lock.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

from training import learners
from training.claims import NO_CLAIMS, Claims
from training.core import Budget, Counters, Every
from training.energy.meter import EnergyMeter, Instruments
from training.errors import UserError
from training.interruption import Interrupted
from training.options import config_hash, config_to_tree
from training.run.checkpoint import Checkpoint, CheckpointConfig, newest
from training.run.clock import Clock
from training.run.console import Console
from training.run.files import write_json
from training.run.folder import Lock, make_folder, new_identity, read_environment, read_settings, remove_unused
from training.run.forecast import Outlook
from training.run.logger import Logger
from training.run.provenance import changes, describe_environment, source_hash
from training.run.result import (
    Account,
    Status,
    account_in,
    account_of,
    joined,
    read_result,
    return_gained,
    write_result,
)
from training.run.stages import make_stage, require_no_stage
from training.run.tracker import Tracker, sweep_of_agent
from training.state import Stateful

T = TypeVar("T")


class Run:
    """One run, held by one process; a context manager that writes `result.json` also when the run fails.

    Made by `Run.create`, `Run.open` and `run.stage`. The experiment's part, for a run of one stage:

        run.open_log(config.log_every, until=budget)
        checkpoint = run.checkpoint({"agent": agent, "stream": stream}, config.checkpoint)
        now = fit(agent, stream, until=budget, log=run.log, evaluate=evaluate, checkpoint=checkpoint)
        run.finish(now, metrics=measured)
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        *,
        lock: Lock | None,
        claims: Claims = NO_CLAIMS,
        inexact: Sequence[str] = (),
        discard: Callable[[], bool] | None = None,
        instruments: Instruments | None = None,
    ) -> None:
        self.folder = folder
        self.experiment: str = settings["experiment"]
        self.seed: int = settings["seed"]
        self.config: dict[str, Any] = settings["config"]
        self._settings = settings
        self._claims = claims
        self._lock = lock
        self._discard = discard
        self._clock = Clock(inexact, EnergyMeter(folder, settings.get("energy"), instruments))
        self._stages: list[Run] = []
        self._log: Logger | None = None
        self._tracker: Tracker | None = None
        self._checkpoint: Checkpoint | None = None
        self._stopped_early: str | None = None

    @classmethod
    def create(
        cls,
        experiment: str,
        config: Any,
        *,
        folder: Path | None = None,
        tracker: str = "auto",
        wandb: Mapping[str, Any] | None = None,
        energy: Mapping[str, Any] | None = None,
        parent: str | None = None,
        begin_with: Sequence[Path] = (),
        chosen: Mapping[str, Any] | None = None,
        group: str | None = None,
        claims: Claims = NO_CLAIMS,
        runs: Path = Path("runs"),
    ) -> Run:
        """Makes the folder of a new run; a mistake of the user's that ends it before anything was trained removes it.

        Args:
            experiment: its name.
            config: the experiment's frozen dataclass, with its `seed`.
            folder: where; by default `<runs>/<group>/<id>`.
            tracker: where copies go, as the option `--tracker` has it.
            wandb: how the copy in W&B is filed, as `WandbOptions.given` has it; no part of what is trained.
            energy: what the energy of the machine is reckoned with, as `EnergyOptions.given` has it.
            parent: the run that this one continues.
            begin_with: the files and folders of that run which this one begins with copies of.
            chosen: the automatic choices that are made already.
            group: what it is kept together with, also in W&B; by default the runs of its experiment.
            claims: what the result of the finished run is judged by.
            runs: the folder of all runs.

        Raises:
            UserError: the config has a value that its JSON would not give back; the folder is not empty or cannot be
                made.
        """
        identity, tree = new_identity(config.seed), config_to_tree(config)
        group = group or experiment
        folder = folder or runs / group / identity
        lock, was_there = make_folder(folder)
        settings = {
            "experiment": experiment,
            "group": group,
            "id": identity,
            "seed": config.seed,
            "tracker": tracker,
            **({"wandb": dict(wandb)} if wandb else {}),
            **({"energy": dict(energy)} if energy else {}),
            "parent": parent,
            "config": tree,
            "config_hash": config_hash(config),
            "source_hash": source_hash(experiment, tree),
            "chosen": dict(chosen or {}),
            **sweep_of_agent(),
        }
        for path in begin_with:
            (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
        write_json(folder / "environment.json", describe_environment())
        write_json(folder / "config.json", settings)  # last: it is what makes the folder a run
        discard = partial(remove_unused, folder, keep_folder=was_there, begun_with=begin_with)
        return cls(folder, settings, lock=lock, claims=claims, discard=discard)

    @classmethod
    def open(cls, folder: Path, *, claims: Claims = NO_CLAIMS) -> Run:
        """Opens a run to continue it, whose result will be judged by `claims`.

        Says on stderr what is not as it was, and when the run is finished already.
        Raises UserError when the folder is not a run or another process holds it.
        """
        settings = read_settings(folder)
        require_no_stage(folder, settings)
        changed = changes(read_environment(folder), describe_environment())
        if source_hash(settings["experiment"], settings["config"]) != settings["source_hash"]:
            changed["source"] = "the source code changed"
        # Another commit alone changes nothing: what matters of it is the source.
        inexact = [f"resumed with another environment: {line}" for kind, line in changed.items() if kind != "commit"]
        run = cls(folder, settings, lock=Lock(folder), claims=claims, inexact=inexact)
        for line in changed.values():
            print(f"warning: {folder} was begun with another environment: {line}", file=sys.stderr)
        if run.finished:
            print(f"run {folder} is finished", file=sys.stderr)
        return run

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        discarded = isinstance(error, UserError) and self._discard is not None and self._discard()
        if kind is not None and not discarded:
            self._fail("interrupted" if issubclass(kind, Interrupted | KeyboardInterrupt) else "failed")
        self.close()

    def close(self) -> None:
        """Closes the log and releases the folder for other processes."""
        for part in (*self._stages, self._log):
            if part is not None:
                part.close()
        if self._lock is not None:
            self._lock.release()

    def choose(self, name: str, decide: Callable[[], T]) -> T:
        """An automatic choice: decided and recorded in `config.json` the first time, and the same ever after."""
        chosen = self._settings["chosen"]
        if name not in chosen:
            chosen[name] = decide()
            write_json(self.folder / "config.json", self._settings)
        return cast("T", chosen[name])

    def require_same_data(self, source: str, sha256: Sequence[str]) -> None:
        """A run goes on with the data that it began with, whatever lies under their name now: else a UserError."""
        if self.choose("data_sha256", lambda: list(sha256)) != list(sha256):
            raise UserError(f"{source} is other data than {self.folder} began with: bring them back")

    def not_exact(self, reason: str) -> None:
        """What it computes from now on is not what it would have been, and `result.json` says why."""
        if reason not in self._clock.inexact:
            self._clock.inexact.append(reason)

    @property
    def log(self) -> Logger:
        """The run's Logger, once `open_log` has been called."""
        if self._log is None:
            raise RuntimeError("run.log is used before run.open_log")
        return self._log

    def show(self, doing: str, fraction: float | None = None) -> None:
        """Tells who watches what goes on beside the progress, such as an evaluation, and how much of it is done."""
        if self._log is not None:
            self._log.show(doing, fraction)

    def measuring(self) -> AbstractContextManager[None]:
        """Around each of the measurements at the end, for the ETA."""
        return self.log.measuring(final=True)

    @property
    def result(self) -> dict[str, Any]:
        """The contents of `result.json`; empty when no segment of the run has ended yet."""
        return read_result(self.folder)

    @property
    def finished(self) -> bool:
        """The run, or this stage of it, came to its end."""
        return self.result.get("status") == "completed"

    def stop_early(self, why: str | None) -> bool:
        """Whether there is a reason to end the training before its budget is spent; `result.json` tells it."""
        self._stopped_early = why
        return why is not None

    def out_of_time(self, seconds: float | None) -> str | None:
        """Why the training ends, where it has taken so long over all its segments; the run is not exact then."""
        over = seconds is not None and learners.agreed(self._clock.trained_s >= seconds)
        if over:
            self.not_exact("its training was ended by the clock")
        return f"max_seconds = {seconds:g}: the training took so long" if over else None

    def out_of_energy(self, joules: float | None) -> str | None:
        """Why the training ends, where it has taken so many joules over all its segments; it is not exact then."""
        over = joules is not None and learners.agreed(self._clock.meter.energy.joules.value >= joules)
        if over:
            self.not_exact("its training was ended by its energy")
        return f"max_joules = {joules:g}: the training took so much energy" if over else None

    @property
    def loading(self) -> str | None:
        """The part that is given its saved state just now."""
        return self._checkpoint.loading if self._checkpoint else None

    @property
    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint; of a run of several stages, its last stage's."""
        return self._stages[-1].last_checkpoint if self._stages else newest(self.folder / "checkpoints")

    @property
    def copies(self) -> list[tuple[str, str]]:
        """The finished copies of the run and its stages: for each the tracker, and its address or its folder."""
        own = self._tracker.copies if self._tracker else []
        return [*own, *(copy for stage in self._stages for copy in stage.copies)]

    def open_log(self, every: Every, until: Budget, outlook: Outlook | None = None) -> Logger:
        """Makes `run.log`: metrics to the folder, the console and the trackers; `outlook` is for the ETA."""
        identity, stage = self._settings["id"], self._settings.get("stage")
        self._tracker = Tracker(
            self.folder,
            self._settings["tracker"],
            group=self._settings.get("group", self.experiment),
            run_id=f"{identity}-{stage}" if stage else identity,
            parent=self._settings["parent"],
        )
        live, copy, clock = Console(stage or self.experiment), self._tracker, self._clock
        self._log = Logger(
            self.folder, every=every, until=until, tracker=copy, console=live, clock=clock, outlook=outlook
        )
        return self._log

    def checkpoint(self, parts: Mapping[str, Stateful], config: CheckpointConfig) -> Checkpoint:
        """The checkpoints of the named parts, and of the log and the times of the run."""
        own: dict[str, Stateful] = {"log": self.log, "progress": self._clock}
        if taken := own.keys() & parts.keys():
            raise ValueError(f"the parts {sorted(taken)} are the run's own: name yours otherwise")
        folder = self.folder / "checkpoints"
        self._checkpoint = Checkpoint(folder, {**parts, **own}, every=config.every, keep_last=config.keep_last)
        self._clock.start_training()
        return self._checkpoint

    def stage(self, name: str) -> Run:
        """The run's next stage, whose parent is the stage before; skip it when it is `finished`.

        Raises UserError when the folder has another stage in this place.
        """
        parent = self._stages[-1].folder.name if self._stages else self._settings["parent"]
        settings = make_stage(self.folder, self._settings, len(self._stages) + 1, name, parent)
        folder, clock = self.folder / settings["stage"], self._clock
        stage = Run(folder, settings, lock=None, inexact=clock.inexact, instruments=clock.meter.instruments)
        self._stages.append(stage)
        return self._stages[-1]

    def finish(self, now: Counters, *, metrics: Mapping[str, float], best: Mapping[str, Any] | None = None) -> None:
        """Writes the result of a run that came to its end.

        Args:
            now: the final counters.
            metrics: what was measured at the end.
            best: what the best checkpoint measured; by default its score and when it was reached.
        """
        self._clock.meter.gather()
        self._end("completed", now, metrics, self._best if best is None else best)

    def finish_as(self, stage: Run, more: Mapping[str, float] | None = None) -> None:
        """Writes the result of a run of stages: what `stage`, the last of them, came to, and what else was measured."""
        result = stage.result
        self.stop_early(result.get("stopped_early"))
        self.finish(Counters(**result["counters"]), metrics={**result["metrics"], **(more or {})}, best=result["best"])

    def add_to_result(self, name: str, value: Any) -> None:
        """Keeps under a name in `result.json` what was found out about the run after its end."""
        write_json(self.folder / "result.json", {**self.result, name: value})

    def _fail(self, status: Status) -> None:
        """Writes what is known of a run that was stopped: how far the last checkpoint is."""
        if self.finished:
            return
        for stage in self._stages:
            stage._fail(status)
        position, earlier = self._position, self.result
        if position is None and earlier:  # nothing was trained since
            write_json(self.folder / "result.json", {**earlier, "status": status})
            return
        self._end(status, position or Counters(), self._log.latest if self._log else {}, self._best)

    def _end(self, status: Status, now: Counters, metrics: Mapping[str, float], best: Mapping[str, Any]) -> None:
        write_result(
            self.folder,
            self._settings,
            status,
            now,
            metrics,
            best=best,
            stopped_early=self._stopped_early if status == "completed" else None,
            checkpoint=self.last_checkpoint,
            account=self._account(metrics),
            claims=self._claims,
        )
        if self._log is not None:
            self._log.close()
        if self._tracker is not None:
            self._tracker.finish()

    @property
    def _position(self) -> Counters | None:
        """How far its last checkpoint is; None: this process trained nothing."""
        if self._stages:
            return self._stages[-1]._position
        return self._checkpoint.position if self._checkpoint else None

    @property
    def _best(self) -> dict[str, Any]:
        score = self._checkpoint.best_score if self._checkpoint else None
        return {} if score is None else asdict(score)

    def _account(self, metrics: Mapping[str, float]) -> Account:
        if self.finished:
            return account_in(self.result)
        own = account_of(self._clock, self._checkpoint, return_gained(self.folder, metrics))
        stages = [stage._account({}) for stage in self._stages]
        return joined(own, stages, self._clock.meter.options) if stages else own
