"""Train the seeds that the claims of an experiment are judged on, and judge them: --jobs 2."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from agents.recipes.presets import Default, default_in, has_presets
from commands.command_line import first_word, print_help, wants_help
from reports.confirming import confirmed, first_on_record, record_to_confirm
from reports.results import RESULTS
from reports.tables import figures_of, learning_curve, print_report, summary
from training import interruption
from training.claims import FIRST_SEED, Claim, Verdict, judge, scores_by_seed
from training.cluster import child_process
from training.errors import UserError, require
from training.experiments import claims_of, load_experiment
from training.options import changed_options, changed_values, config_hash, config_to_tree, parse_options
from training.run.files import write_json
from training.run.folder import making, read_settings
from training.run.provenance import source_hash
from training.run.result import read_result
from training.run.side_by_side import SideBySide

TAKES = "NAME"
SHARED_WITH_BASELINE = ("env_steps", "device")
"""What a baseline has as the experiment does; all else is its own."""
ASKED_OF_BASELINE = ("epochs", "steps")
"""What it has only where `verify` is asked for another value: so many passes of another algorithm say little."""
END_TIMEOUT_S = 60.0
LAST_LINES = 15


@dataclass(frozen=True)
class Options:
    """How many seeds are trained, and where."""

    seeds: int | None = None
    """For a look at fewer or more seeds than the claims name; that is no verdict, and the exit code is 1."""
    jobs: int = 1
    """How many are trained at a time, each on one thread."""
    run_dir: str | None = None
    """Holds one folder a seed, and verdict.json; by default runs/<experiment>/verify."""
    confirm: bool = False
    """Train only one seed, and one of each baseline, after the code has changed. Where they end to the bit as on
    record, the verdict on record is of the new code too."""

    def __post_init__(self) -> None:
        require(self.seeds is None or self.seeds >= 1, "seeds", self.seeds, "at least 1")
        require(self.jobs >= 1, "jobs", self.jobs, "at least 1")
        require(not (self.confirm and self.seeds), "seeds", self.seeds, "nothing beside --confirm, which trains one")


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
    """Trains the seeds 101 and on that are not finished yet, judges the claims over them and writes the verdict.

    Each claim names its number of seeds. Options that are not its own change the experiment's config, but for what its
    claims are about. The verdict goes to docs/results/NAME.json when the config is the experiment's own, the number of
    seeds the claims' own and its source committed; and always to verdict.json.

    Returns:
        0 when every claim holds, otherwise 1. A seed that fails is a claim that fails.

    Raises:
        UserError: a wrong option, or a metric that is not measured.
        Interrupted: the seeds in training have saved and can be continued by the same command.
    """
    if wants_help(argv):
        return print_help("verify NAME", main.__doc__, Options())
    name = first_word(argv, "verify", TAKES)
    module = load_experiment(name, package)
    options, config = parse_options(argv[1:], Options(), module.Config())
    if config.seed != module.Config().seed:
        raise UserError(f"seed = {config.seed}: verify trains the seeds {FIRST_SEED} and on, as many as a claim names")
    claims = claims_of(module, config)
    if not claims.claims:
        raise UserError(f"{name} makes no claim to verify")
    if claims.differs is not None:
        raise UserError(f"{claims.differs}, which the claims of {name} are about")
    folder = Path(options.run_dir or Path("runs", name, "verify"))
    record = record_to_confirm(name, claims.claims, config == module.Config()) if options.confirm else None
    tasks = {name: _tasks(name, config, Default(module.Config()), _seeds(claims.claims, options), folder)}
    for baseline in sorted({claim.baseline for claim in claims.claims if claim.baseline is not None}):
        default, own = _of_baseline(load_experiment(baseline, package), config, module.Config())
        seeds = _seeds([claim for claim in claims.claims if claim.baseline == baseline], options)
        tasks[baseline] = _tasks(baseline, own, default, seeds, folder / f"baseline-{baseline}")
    if record is not None:
        tasks = {group: [own[first_on_record(record, group)]] for group, own in tasks.items()}

    with making(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with interruption.catch():
        failed = train_all([task for group in tasks.values() for task in group], package, options.jobs)
    if record is not None:
        return _confirm(record, tasks, failed)
    asked = ["verify", name, *([f"--seeds={options.seeds}"] if options.seeds else [])]
    asked += changed_options(config, module.Config())
    report = _report(claims.claims, tasks, failed, command=shlex.join(["python", "-m", "experiments", *asked]))
    write_json(folder / "verdict.json", report)
    print_report(report)
    if options.seeds is not None and any(claim.seeds != options.seeds for claim in claims.claims):
        numbers = " and ".join(str(number) for number in sorted({claim.seeds for claim in claims.claims}))
        print(f"no verdict: the claims of {name} are judged on {numbers} seeds, not on {options.seeds}")
        return 1
    if config == module.Config():
        _publish(report)
    return 0 if report["holds"] else 1


def _confirm(record: Mapping[str, Any], tasks: Mapping[str, Sequence[Task]], failed: Mapping[Path, str]) -> int:
    """Publishes the verdict on record as one of the source as it is now; the exit code is that of the verdict."""
    report = confirmed(record, {group: figures_of(_ended_as(own[0], failed)) for group, own in tasks.items()})
    print_report(report)
    seeds = " and ".join(f"seed {seed} of {group}" for group, seed in report["confirmed"]["seeds"].items())
    print(f"confirmed: {seeds} ended to the bit as on record, which is of commit {record['commit']}")
    _publish(report)
    return 0 if report["holds"] else 1


def _publish(report: Mapping[str, Any]) -> None:
    """Writes the verdict to docs/results/, unless nobody could find the source that it is of."""
    if report.get("confirmed", report)["dirty"]:
        print(f"{RESULTS} is left as it is: the source of {report['experiment']} has uncommitted changes")
        return
    RESULTS.mkdir(parents=True, exist_ok=True)
    write_json(RESULTS / f"{report['experiment']}.json", report)


def _seeds(claims: Sequence[Claim], options: Options) -> range:
    """Those that the claims need together."""
    return range(FIRST_SEED, FIRST_SEED + (options.seeds or max(claim.seeds for claim in claims)))


def _tasks(name: str, config: Any, default: Default, seeds: Iterable[int], folder: Path) -> list[Task]:
    options = (*default.options, *changed_options(config, default.config))
    return [Task(name, replace(config, seed=seed), options, folder / f"seed-{seed}") for seed in seeds]


def _of_baseline(module: ModuleType, config: Any, default: Any) -> tuple[Default, Any]:
    """What a baseline is without options, and its config; that of an algorithm is in the environment of `config`."""
    if not has_presets(module):
        own = Default(module.Config())
        return own, _same_budget(own.config, config, default)
    own = default_in(module, config.env)
    return own, _same_budget(replace(own.config, env=config.env), config, default)


def _same_budget(baseline: Any, config: Any, default: Any) -> Any:
    """The baseline's config with what a fair comparison shares; `default` is that of the experiment."""
    asked = changed_values(config, default).keys() & ASKED_OF_BASELINE
    keys = [key for key in (*SHARED_WITH_BASELINE, *asked) if hasattr(baseline, key) and hasattr(config, key)]
    return replace(baseline, **{key: getattr(config, key) for key in keys})


def _report(
    claims: Sequence[Claim], tasks: Mapping[str, Sequence[Task]], failed: Mapping[Path, str], *, command: str
) -> dict[str, Any]:
    """The verdicts on the seeds; the first group is the experiment, the others are its baselines."""
    name = next(iter(tasks))
    results = {group: {task.seed: _ended_as(task, failed) for task in own} for group, own in tasks.items()}
    verdicts = [_judged(claim, name, results) for claim in claims]
    return summary(name, command, verdicts, results, config_to_tree(tasks[name][0].config))


def _ended_as(task: Task, failed: Mapping[Path, str]) -> dict[str, Any]:
    """The result of a seed with its learning curve; of one that failed, why."""
    if task.folder in failed:
        return {"seed": task.seed, "failed": failed[task.folder]}
    return {**read_result(task.folder), "curve": learning_curve(task.folder)}


def _judged(claim: Claim, name: str, results: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> Verdict:
    """The verdict on the first seeds of the experiment, as many as the claim names."""
    failed: dict[int, str] = {}
    scores: list[dict[int, float]] = []
    for group in [results[name], *([results[claim.baseline]] if claim.baseline else [])]:
        own = {seed: group[seed] for seed in sorted(group)[: claim.seeds]}
        failed |= {seed: result["failed"] for seed, result in own.items() if "failed" in result}
        scores.append(scores_by_seed(claim, {seed: own[seed] for seed in own if "failed" not in own[seed]}))
    return judge(claim, scores[0], scores[1] if claim.baseline else None, failed)


def train_all(
    tasks: Sequence[Task], package: str, jobs: int, *, title: str = "verify", later: Sequence[str] = ()
) -> dict[Path, str]:
    """Trains what is not finished, `jobs` at a time; says what fails and returns why, by the folder of the run.

    The ETA covers the experiments that are to be trained `later`, one for each run.

    Raises:
        UserError: a seed complains about its input, or was killed from outside.
    """
    waiting = [(task, *found) for task in tasks if (found := _next_command(task, package))]
    failed: dict[Path, str] = {}
    kinds = {str(task.folder): task.experiment for task, *_ in waiting}
    with SideBySide(title, jobs, kinds, later) as all_of_them, _children() as running:
        while waiting or running:
            interruption.check()
            while waiting and len(running) < jobs:
                task, verb, command = waiting.pop(0)
                print(f"{task}: {verb}, see {task.log}", file=sys.stderr)
                running[_start(task, command)] = task
                all_of_them.begins(str(task.folder), task.folder, anew=verb == "trains")
            for process in [process for process in running if process.poll() is not None]:
                task = running.pop(process)
                all_of_them.ended(str(task.folder))
                if why := _ended(task, process.returncode, all_of_them.eta if waiting or running else ""):
                    failed[task.folder] = why
            all_of_them.look()
            time.sleep(0.1)
    return failed


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


def _ended(task: Task, code: int, eta: str) -> str | None:
    """Says how the training of a seed ended, and the ETA of the others; why it failed, or None."""
    lines = task.log.read_text(encoding="utf-8", errors="replace").splitlines()
    if code == 0:
        print(f"{task}: done{eta and f', {eta} for the others'}", file=sys.stderr)
        return None
    if code == 2 and lines:
        raise UserError(f"{task}: {lines[-1].removeprefix('error: ')}")
    if code < 0:
        name = signal.Signals(-code).name
        raise UserError(f"{task}: {name} ended it from outside; the same command goes on with what is saved")
    print(f"{task}: failed with exit code {code}; the end of {task.log}:", file=sys.stderr)
    print("\n".join(f"    {line}" for line in lines[-LAST_LINES:]), file=sys.stderr)
    return next((line for line in reversed(lines) if line.strip()), f"exit code {code}")


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
