"""Logs of other libraries as records, found out by what is in them.

- Stable-Baselines3: `monitor.csv` (one line an episode), `progress.csv` (its logger) and `evaluations.npz` (of its
  EvalCallback, read without pickle). Those in one folder are one run.
- Event files of TensorBoard, as CleanRL and many others write them (extra `tensorboard`).
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reports.comparison import event_files
from reports.comparison.records import Array, Curve, Record
from training.errors import UserError

ALIASES = {
    "eval/mean_reward": "evaluation/return_mean",
    "rollout/ep_rew_mean": "rollout/return_mean",
    "charts/episodic_return": "rollout/return_mean",
}
"""What other libraries call it, and what it is called here."""
TRAINING_RETURN = "rollout/return_mean"
EVALUATION_RETURN = "evaluation/return_mean"
EPISODE_TAGS = {"charts/episodic_return"}
"""One value for each episode, not a mean of several."""
PARTS = 100
"""Into so many equal parts of env steps single episodes are put: a point of the curve is the mean of one part."""
WINDOWED = "Stable-Baselines3's ep_rew_mean, the mean of the last 100 episodes, so it is smoothed"
PARTED = f"a point is the mean of the episodes that ended in one of {PARTS} equal parts of its env steps"


class Log(NamedTuple):
    """What one file tells."""

    curves: dict[str, Curve]
    config: dict[str, Any]
    remarks: tuple[str, ...] = ()
    about: Mapping[str, str] = {}
    """What must be known of a metric."""


def kind_of(file: Path) -> str | None:
    """`monitor`, `progress`, `evaluations` or `events`, by the content of the file; None: none of these."""
    with file.open("rb") as opened:
        head = opened.read(4096)
    if event_files.is_event_file(head):
        return "events"
    if head.startswith(b"PK") and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return "evaluations" if {"timesteps.npy", "results.npy"} <= set(archive.namelist()) else None
    line, _, rest = head.decode("utf-8", "replace").partition("\n")
    if line.startswith("#{") and {"r", "l", "t"} <= set(rest.partition("\n")[0].strip().split(",")):
        return "monitor"
    return "progress" if "time/total_timesteps" in line.strip().split(",") else None


def find_logs(folder: Path) -> dict[Path, list[Path]]:
    """The logs in a folder and below it, by the folder that they are in."""
    found: dict[Path, list[Path]] = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and (file.suffix in (".csv", ".npz") or "tfevents" in file.name) and kind_of(file):
            found.setdefault(file.parent, []).append(file)
    return found


def read_logs(files: list[Path], label: str | None = None) -> Record:
    """One run of another library.

    Args:
        files: its logs.
        label: of its group; None: what the log calls the experiment, otherwise the name of its folder.

    Raises:
        UserError: a file that is no such log, is damaged, or holds nothing to compare.
    """
    try:
        return _read(files, label)
    except (OSError, ValueError, KeyError) as error:
        named = files[0] if len(files) == 1 else files[0].parent
        raise UserError(f"{named} is damaged or no such log: {type(error).__name__}: {error}") from None


def _read(files: list[Path], label: str | None) -> Record:
    logs: dict[str, list[Log]] = {}
    for file in files:
        kind = kind_of(file)
        if kind is None:
            raise UserError(
                f"{file} is no log that is known: those of Stable-Baselines3 (monitor.csv, progress.csv, "
                "evaluations.npz) and event files of TensorBoard are"
            )
        if kind != "monitor":
            logs.setdefault(kind, []).append(
                {"progress": _progress, "evaluations": _evaluations, "events": _events}[kind](file)
            )
    monitors = [file for file in files if kind_of(file) == "monitor"]
    if monitors:
        logs["monitor"] = [_monitor(monitors)]
    # Later ones win: single episodes tell more than means of windows, evaluations more than what was logged of them.
    read = [log for kind in ("progress", "events", "monitor", "evaluations") for log in logs.get(kind, [])]
    curves = {name: curve for log in read for name, curve in log.curves.items()}
    config = {name: value for log in read for name, value in log.config.items()}
    remarks = list(dict.fromkeys(remark for log in read for remark in log.remarks))
    about = {name: told for log in read for name, told in log.about.items()}
    if not curves:
        raise UserError(f"{files[0]} holds no number to compare")
    source = files[0] if len(files) == 1 else files[0].parent
    seed = config.pop("seed", None)
    return Record(
        source=str(source),
        label=label or str(config.get("exp_name") or files[0].absolute().parent.name),
        config=config,
        curves={name: _timed(curve, curves) for name, curve in curves.items()},
        seed=int(seed) if str(seed).isdigit() else None,
        budget=int(config["total_timesteps"]) if str(config.get("total_timesteps", "")).isdigit() else None,
        remarks=tuple(remarks),
        about=about,
    )


def env_beside(file: Path) -> str | None:
    """The environment that the monitors in the folder of a log name, if they name one."""
    named = set()
    for other in file.parent.glob("*.csv"):
        with suppress(ValueError):  # a damaged neighbour names nothing
            named.add(_env_of(other) if kind_of(other) == "monitor" else None)
    named.discard(None)
    return named.pop() if len(named) == 1 else None


def _env_of(monitor: Path) -> str | None:
    with monitor.open(encoding="utf-8") as opened:
        told = json.loads(opened.readline()[1:])
    return told.get("env_id") or None


def _monitor(files: list[Path]) -> Log:
    """The episodes of all environments of a run, in the order of their ends."""
    episodes: list[tuple[float, float, float]] = []
    begun = []
    for file in files:
        with file.open(encoding="utf-8", newline="") as opened:
            t_start = float(json.loads(opened.readline()[1:])["t_start"])
            begun.append(t_start)
            rows = list(csv.DictReader(opened))
        episodes += [(t_start + float(row["t"]), float(row["l"]), float(row["r"])) for row in rows]
    if not episodes:
        raise UserError(f"{files[0]} holds no episode that ended")
    ended, lengths, returns = np.array(sorted(episodes)).T
    remarks = (f"{len(files)} monitors in one folder are taken as one run",) if len(files) > 1 else ()
    env = {name for name in map(_env_of, files) if name}
    config = {"env.id": env.pop()} if len(env) == 1 else {}
    curve = of_episodes(np.cumsum(lengths), ended - min(begun), returns)
    return Log({TRAINING_RETURN: curve}, config, remarks, {TRAINING_RETURN: PARTED})


def of_episodes(steps: Array, seconds: Array, returns: Array) -> Curve:
    """The mean of the episodes that ended in each of `PARTS` equal parts of the env steps, where any did."""
    part = np.minimum((steps / steps[-1] * PARTS).astype(int), PARTS - 1)
    _, first, inverse = np.unique(part, return_index=True, return_inverse=True)
    counts = np.bincount(inverse)
    last = first + counts - 1
    return Curve(steps[last].astype(np.float64), seconds[last], np.bincount(inverse, returns) / counts)


def _progress(file: Path) -> Log:
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    points: dict[str, list[tuple[float, float, float]]] = {}
    for row in rows:
        if not row["time/total_timesteps"]:
            continue
        steps, seconds = float(row["time/total_timesteps"]), float(row.get("time/time_elapsed") or "nan")
        for name, text in row.items():
            if text and name and not name.startswith("time/"):
                points.setdefault(name, []).append((steps, seconds, float(text)))
    curves = {name: Curve(*np.array(values, np.float64).T) for name, values in points.items()}
    env = env_beside(file)
    about = {TRAINING_RETURN: WINDOWED} if "rollout/ep_rew_mean" in curves else {}
    return Log(_with_aliases(curves), {"env.id": env} if env else {}, about=about)


def _evaluations(file: Path) -> Log:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            steps, results = arrays["timesteps"].astype(np.float64), arrays["results"].astype(np.float64)
    except ValueError as error:
        raise UserError(f"{file} cannot be read without pickle ({error})") from None
    if results.ndim != 2 or len(results) != len(steps):
        raise UserError(f"{file} holds results {list(results.shape)}: it takes [evaluations, episodes]")
    values = results.mean(axis=1)
    told = f"of {results.shape[1]} episodes each, by Stable-Baselines3's EvalCallback"
    env = env_beside(file)
    curve = Curve(steps, np.full_like(steps, np.nan), values)
    return Log({EVALUATION_RETURN: curve}, {"env.id": env} if env else {}, about={EVALUATION_RETURN: told})


def _events(file: Path) -> Log:
    scalars, told = event_files.read(file)
    curves, about = {}, {}
    for tag, curve in scalars.items():
        curves[tag] = curve
        if tag in EPISODE_TAGS and len(curve.steps) > 1:
            curves[tag] = of_episodes(curve.steps, curve.seconds, curve.values)
            about[ALIASES[tag]] = PARTED
    if "rollout/ep_rew_mean" in curves:
        about[TRAINING_RETURN] = WINDOWED
    config = {"env.id" if name == "env_id" else name: value for name, value in told.items()}
    env = env_beside(file)
    return Log(_with_aliases(curves), ({"env.id": env} if env else {}) | config, about=about)


def _with_aliases(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    return {**curves, **{ALIASES[name]: curve for name, curve in curves.items() if name in ALIASES}}


def _timed(curve: Curve, others: Mapping[str, Curve]) -> Curve:
    """With the seconds that another curve of the run tells, where its own log has none."""
    if np.isfinite(curve.seconds).any():
        return curve
    for other in others.values():
        if np.isfinite(other.seconds).all():
            inside = (curve.steps >= 0) & (curve.steps <= other.steps[-1])
            seconds = np.interp(curve.steps, np.append(0.0, other.steps), np.append(0.0, other.seconds))
            return curve._replace(seconds=np.where(inside, seconds, np.nan))
    return curve
