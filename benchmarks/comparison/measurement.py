"""What one run of one side measured: read from a run's folder for ours, written by a `Clock` for a peer."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from training.errors import UserError
from training.run.checkpoint import read_state
from training.run.files import read_json, write_json
from training.run.logger import read_rows
from training.run.result import read_result

FILE = "measurement.json"
RETURN = "evaluation/return_mean"


@dataclass(frozen=True)
class Measurement:
    """The clock runs from the first env step to the end of the last update, with logging and checkpoints on."""

    env_steps: int
    """Or updates, where nothing acts."""
    seconds: float
    first_row_env_steps: int
    """How far the run was at the first row of its log: until there, code is compiled and caches are filled."""
    first_row_seconds: float
    began_at: float
    """When the clock began, in seconds since 1970."""
    final_return: float | None
    """Of the greedy policy, evaluated after the clock had stopped; None where nothing acts."""

    @property
    def per_second(self) -> float:
        return self.env_steps / self.seconds

    @property
    def per_second_after_first_row(self) -> float:
        return (self.env_steps - self.first_row_env_steps) / (self.seconds - self.first_row_seconds)

    @property
    def warm_up_seconds(self) -> float:
        """What the time until the first row had over that of the same work later: compiling, above all."""
        return self.first_row_seconds - self.first_row_env_steps / self.per_second_after_first_row


class Clock:
    """A peer's stopwatch, in its process."""

    def start(self) -> None:
        """Call it right before the first env step."""
        self._began_at = time.time()
        self._began_s = time.perf_counter()
        self._first_row: tuple[int, float] | None = None

    def row(self, env_steps: int) -> None:
        """Call it when a row of the log is written."""
        if self._first_row is None:
            self._first_row = env_steps, time.perf_counter() - self._began_s

    def stop(self, env_steps: int) -> None:
        """Call it after the last update and save; a later call moves the end."""
        self._end = env_steps, time.perf_counter() - self._began_s

    def write(self, folder: Path, *, final_return: float | None) -> None:
        env_steps, seconds = self._end
        first = self._first_row or self._end
        measured = Measurement(env_steps, seconds, *first, self._began_at, final_return)
        write_json(folder / FILE, {"peer": asdict(measured)})


def read_run(folder: Path, solved_return: float | None) -> Measurement:
    """The measurement of a run of `python -m experiments train`; its clock stops at `solved_return` if there is one.

    Raises UserError when the run is not finished.
    """
    result = read_result(folder)
    if result.get("status") != "completed":
        raise UserError(f"run {folder} did not finish: its status is {result.get('status')}")
    timing = read_rows(folder / "timing.jsonl")
    # Training began with the making of the checkpoints; the times of the rows count from the making of the run, when
    # environment.json was written. config.json was too, but it is written again when a choice is recorded.
    progress = read_state(folder / result["checkpoint"], "progress")
    start_up_s = progress["wall_time_s"] - progress["training_time_s"]
    env_steps, seconds = result["counters"]["env_steps"], result["training_time_s"]
    final_return = result["metrics"][RETURN]
    if solved_return is not None:
        metrics = read_rows(folder / "metrics.jsonl")
        solved = [index for index, row in enumerate(metrics) if row.get(RETURN, -float("inf")) >= solved_return]
        if solved:
            row = timing[solved[0]]
            env_steps, seconds = int(row["env_steps"]), row["wall_time_s"] - start_up_s
            final_return = metrics[solved[0]][RETURN]
    return Measurement(
        env_steps=env_steps,
        seconds=seconds,
        first_row_env_steps=int(timing[0]["env_steps"]),
        first_row_seconds=timing[0]["wall_time_s"] - start_up_s,
        began_at=(folder / "environment.json").stat().st_mtime + start_up_s,
        final_return=final_return,
    )


def read_measurements(folder: Path) -> dict[str, Measurement]:
    """What a peer's process, or one that ran both sides, left in its folder, by side."""
    return {side: Measurement(**values) for side, values in read_json(folder / FILE).items()}
