"""Train the seeds that the claims of an experiment are judged on, and judge them: --jobs 2."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from agents.recipes.presets import Default, default_in, has_presets
from commands.command_line import first_word, print_help, wants_help
from commands.shared.seeds import Task, train_all
from reports.confirming import confirmed, first_on_record, record_to_confirm
from reports.results import RESULTS
from reports.tables import figures_of, learning_curve, print_report, summary
from training import interruption
from training.claims import FIRST_SEED, Claim, Verdict, judge, scores_by_seed
from training.errors import UserError, require
from training.experiments import claims_of, load_experiment
from training.options import changed_options, changed_values, config_to_tree, parse_options
from training.run.files import write_json
from training.run.folder import making
from training.run.result import read_result

TAKES = "NAME"
SHARED_WITH_BASELINE = ("env_steps", "device")
"""What a baseline has as the experiment does; all else is its own."""
ASKED_OF_BASELINE = ("epochs", "steps")
"""What it has only where `verify` is asked for another value: so many passes of another algorithm say little."""


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
