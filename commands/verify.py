"""Train several seeds and judge the claims of the experiment: --seeds 5 --jobs 2."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from commands.command_line import first_word, print_help, wants_help
from reports.tables import RESULTS, learning_curve, print_report, summary
from training import interruption
from training.claims import Claim, Verdict, judge, scores_by_seed
from training.cluster import child_process
from training.errors import UserError, require
from training.experiments import load_experiment
from training.options import changed_options, config_hash, config_to_tree, parse_options
from training.run.files import write_json
from training.run.folder import making, read_settings
from training.run.provenance import source_hash
from training.run.result import read_result

TAKES = "NAME"
SHARED_WITH_BASELINE = ("env_steps", "epochs", "steps", "device")
"""The options of `verify` that its baselines get too; all others are the experiment's own."""
END_TIMEOUT_S = 60.0
LAST_LINES = 15


@dataclass(frozen=True)
class Options:
    """How many seeds are trained, and where."""

    seeds: int = 5
    """Trains the seeds 1 to this."""
    jobs: int = 1
    """How many are trained at a time, each on one thread."""
    run_dir: str | None = None
    """Holds one folder a seed, and verdict.json; by default runs/<experiment>/verify."""

    def __post_init__(self) -> None:
        require(self.seeds >= 1, "seeds", self.seeds, "at least 1")
        require(self.jobs >= 1, "jobs", self.jobs, "at least 1")


@dataclass(frozen=True)
class Task:
    """One seed of one experiment: what `train` is asked for."""

    experiment: str
    config: Any
    options: tuple[str, ...]
    folder: Path

    @property
    def seed(self) -> int:
        return int(self.config.seed)

    def __str__(self) -> str:
        return f"{self.experiment} seed {self.seed}"

    @property
    def log(self) -> Path:
        return self.folder.with_name(self.folder.name + ".log")


def main(argv: Sequence[str], package: str) -> int:
    """Trains the seeds that are not finished yet, judges the claims over all of them and writes the verdict.

    Options that are not its own change the experiment's config. The verdict goes to docs/results/NAME.json when the
    config is the experiment's own and no fewer seeds than usual were trained, and always to verdict.json.

    Returns:
        0 when every claim holds, otherwise 1.

    Raises:
        UserError: a wrong option, or a score that cannot be judged.
        Interrupted: the seeds in training have saved and can be continued by the same command.
    """
    if wants_help(argv):
        return print_help("verify NAME", main.__doc__, Options())
    name = first_word(argv, "verify", TAKES)
    module = load_experiment(name, package)
    options, config = parse_options(argv[1:], Options(), module.Config())
    if config.seed != module.Config().seed:
        raise UserError(f"seed = {config.seed}: verify trains the seeds 1 to --seeds {options.seeds}")
    if not module.CLAIMS:
        raise UserError(f"{name} makes no claim to verify")
    folder = Path(options.run_dir or Path("runs", name, "verify"))
    tasks = {name: _tasks(name, config, module.Config(), options.seeds, folder)}
    for baseline in sorted({claim.baseline for claim in module.CLAIMS if claim.baseline is not None}):
        default = load_experiment(baseline, package).Config()
        own = _same_budget(default, config)
        tasks[baseline] = _tasks(baseline, own, default, options.seeds, folder / f"baseline-{baseline}")

    with making(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with interruption.catch():
        if not train_all([task for group in tasks.values() for task in group], package, options.jobs):
            return 1
    asked = ["verify", name, "--seeds", str(options.seeds), *changed_options(config, module.Config())]
    report = _report(module.CLAIMS, tasks, command=shlex.join(["python", "-m", "experiments", *asked]))
    write_json(folder / "verdict.json", report)
    if config == module.Config() and options.seeds >= Options().seeds:
        RESULTS.mkdir(parents=True, exist_ok=True)
        write_json(RESULTS / f"{name}.json", report)
    print_report(report)
    return 0 if report["holds"] else 1


def _tasks(name: str, config: Any, default: Any, seeds: int, folder: Path) -> list[Task]:
    options = tuple(changed_options(config, default))
    return [Task(name, replace(config, seed=seed), options, folder / f"seed-{seed}") for seed in range(1, seeds + 1)]


def _same_budget(baseline: Any, config: Any) -> Any:
    """The baseline's config with what a fair comparison shares."""
    keys = [key for key in SHARED_WITH_BASELINE if hasattr(baseline, key) and hasattr(config, key)]
    return replace(baseline, **{key: getattr(config, key) for key in keys})


def _report(claims: Sequence[Claim], tasks: Mapping[str, Sequence[Task]], *, command: str) -> dict[str, Any]:
    """The verdicts on the finished seeds; the first group is the experiment, the others are its baselines."""
    name = next(iter(tasks))
    results = {group: {task.seed: _finished(task.folder) for task in own} for group, own in tasks.items()}
    verdicts = [_judged(claim, name, results) for claim in claims]
    return summary(name, command, verdicts, results, environment_of=tasks[name][0].folder)


def _finished(folder: Path) -> dict[str, Any]:
    return {**read_result(folder), "curve": learning_curve(folder)}


def _judged(claim: Claim, name: str, results: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> Verdict:
    baseline = None if claim.baseline is None else scores_by_seed(claim, results[claim.baseline])
    return judge(claim, scores_by_seed(claim, results[name]), baseline)


def train_all(tasks: Sequence[Task], package: str, jobs: int) -> bool:
    """Trains what is not finished, `jobs` at a time; says what fails and returns whether nothing did."""
    waiting = [(task, *found) for task in tasks if (found := _next_command(task, package))]
    complete = True
    with _children() as running:
        while waiting or running:
            interruption.check()
            while waiting and len(running) < jobs:
                task, verb, command = waiting.pop(0)
                print(f"{task}: {verb}, see {task.log}", file=sys.stderr)
                running[_start(task, command)] = task
            for process in [process for process in running if process.poll() is not None]:
                complete &= _ended(running.pop(process), process.returncode)
            time.sleep(0.1)
    return complete


def _next_command(task: Task, package: str) -> tuple[str, list[str]] | None:
    """What finishes the seed's run, as a verb and a command; None when it is. A run of something else is set aside."""
    program = child_process.command(package)
    train = [*program, "train", task.experiment, "--seed", str(task.seed), "--tracker", "none"]
    train += ["--run-dir", str(task.folder), *task.options]
    if not task.folder.exists():
        return "trains", train
    try:
        settings = read_settings(task.folder)
        same = (settings["config_hash"], settings["source_hash"]) == (
            config_hash(task.config),
            source_hash(task.experiment, config_to_tree(task.config)),
        )
    except (UserError, KeyError):
        same = False
    if not same:
        aside = _free_name(task.folder)
        task.folder.rename(aside)
        print(f"{task}: {task.folder} is of another config or source, set aside as {aside}", file=sys.stderr)
        return "trains", train
    if read_result(task.folder).get("status") == "completed":
        print(f"{task}: finished before", file=sys.stderr)
        return None
    return "resumes", [*program, "resume", str(task.folder)]


def _free_name(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return aside


def _start(task: Task, command: Sequence[str]) -> subprocess.Popen[bytes]:
    with making(task.folder):
        task.folder.parent.mkdir(parents=True, exist_ok=True)
        log = task.log.open("wb")
    with log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )


def _ended(task: Task, code: int) -> bool:
    lines = task.log.read_text(encoding="utf-8", errors="replace").splitlines()
    if code == 0:
        print(f"{task}: done", file=sys.stderr)
        return True
    if code == 2 and lines:
        raise UserError(f"{task}: {lines[-1].removeprefix('error: ')}")
    print(f"{task}: failed with exit code {code}; the end of {task.log}:", file=sys.stderr)
    print("\n".join(f"    {line}" for line in lines[-LAST_LINES:]), file=sys.stderr)
    return False


@contextmanager
def _children() -> Iterator[dict[subprocess.Popen[bytes], Task]]:
    """Processes that do not outlive the block: they are asked to save and end, and killed when they do not."""
    running: dict[subprocess.Popen[bytes], Task] = {}
    try:
        yield running
    finally:
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
