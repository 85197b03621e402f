"""The commands that make and continue runs. An experiment is given as its module, so that nothing here imports one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from training import interruption
from training.claims import Claim, describe, judge_seed
from training.config import config_from_tree, parse_options
from training.core import UserError
from training.files import write_json
from training.non_finite import NonFinite
from training.rate_range import RateRangeOptions, read_curve, with_rate_range
from training.report_plots import draw_rates
from training.run import Run
from training.run_folder import read_result, read_settings

LoadExperiment = Callable[[str], ModuleType]


@dataclass(frozen=True)
class TrainOptions:
    """Where a run is written and who gets a copy."""

    run_dir: str | None = None
    """A new or empty folder; by default runs/<experiment>/<id>."""
    tracker: Literal["auto", "online", "offline", "none"] = "auto"
    """Weights & Biases: online when logged in and offline otherwise, or one of them, or not at all."""


@dataclass(frozen=True)
class ResumeOptions:
    """How a run is continued."""

    env_steps: int | None = None
    """Extends a finished run to this budget, as a new run whose parent it is."""
    epochs: int | None = None
    """The same for a run that learns from a dataset."""


def train(name: str, module: ModuleType, argv: Sequence[str]) -> None:
    """Makes a new run of the experiment and trains it."""
    options, config = parse_options(argv, TrainOptions(), module.Config())
    folder = Path(options.run_dir) if options.run_dir else None
    with (
        interruption.catch(),
        Run.create(name, config, folder=folder, tracker=options.tracker, claims=module.CLAIMS) as run,
    ):
        _run_experiment(run, module, config)


def rates(name: str, module: ModuleType, argv: Sequence[str]) -> None:
    """Tries a range of learning rates in one short run of an experiment that learns from data, and suggests one."""
    options, tested, config = parse_options(argv, TrainOptions(), RateRangeOptions(), module.Config())
    folder = Path(options.run_dir) if options.run_dir else None
    with (
        interruption.catch(),
        Run.create(name, with_rate_range(config, tested), folder=folder, tracker=options.tracker) as run,
    ):
        module.train(with_rate_range(config, tested), run)
    curve = read_curve(run.folder)
    write_json(run.folder / "learning_rates.json", {**curve._asdict(), "suggested": curve.suggested})
    if find_spec("matplotlib"):
        draw_rates(curve, run.folder / "learning_rates.svg")
    print(f"suggested learning rate: {curve.suggested:.2g}; the curve is in {run.folder}/learning_rates.*")


def resume(folder: Path, load: LoadExperiment, argv: Sequence[str]) -> None:
    """Continues a run that was stopped, or extends a finished one."""
    (options,) = parse_options(argv, ResumeOptions())
    budgets = {unit: count for unit, count in asdict(options).items() if count is not None}
    if len(budgets) > 1:
        raise UserError("a run has one budget: extend it with --env-steps or with --epochs")
    if budgets:
        ((unit, count),) = budgets.items()
        _extend(folder, load, unit, count)
        return
    settings = read_settings(folder)
    module = load(settings["experiment"])
    config = read_config(folder, settings, module)
    with interruption.catch(), Run.open(folder, claims=module.CLAIMS) as run:
        if not run.finished:
            _run_experiment(run, module, config)


def read_config(folder: Path, settings: Mapping[str, Any], module: ModuleType) -> Any:
    """The config of a run as the experiment's dataclass; `settings` are the contents of its `config.json`."""
    return config_from_tree(settings["config"], module.Config(), source=str(folder / "config.json"))


def _extend(folder: Path, load: LoadExperiment, unit: str, count: int) -> None:
    """Trains on from the last checkpoint of a finished run, in a folder of its own."""
    settings = read_settings(folder)
    module = load(settings["experiment"])
    config = read_config(folder, settings, module)
    if not hasattr(config, unit):
        raise UserError(f"{settings['experiment']} has no budget of {unit} to extend")
    result = read_result(folder)
    if result.get("status") != "completed":
        raise UserError(f"{folder} is not finished: resume it without --{unit.replace('_', '-')} first")
    done = result["counters"][unit]
    if count <= done:
        raise UserError(f"{unit} = {count}: it takes more than the {done} that {folder} has done")
    if not (folder / "checkpoints").is_dir():
        raise UserError(f"{folder} cannot be extended: it has no checkpoints of its own")
    config = replace(config, **{unit: count})
    with (
        interruption.catch(),
        Run.create(
            settings["experiment"],
            config,
            tracker=settings["tracker"],
            parent=str(folder),
            chosen=settings.get("chosen"),
            begin_with=[folder / name for name in ("checkpoints", "metrics.jsonl", "timing.jsonl")],
            claims=module.CLAIMS,
        ) as run,
    ):
        _run_experiment(run, module, config)


def _run_experiment(run: Run, module: ModuleType, config: Any) -> None:
    try:
        module.train(config, run)
    except interruption.Interrupted:
        print(f"interrupted; continue with: python -m experiments resume {run.folder}", file=sys.stderr)
        raise
    except NonFinite as error:
        good = run.last_checkpoint
        error.add_note(f"the last good checkpoint is {good}" if good else "there is no checkpoint yet")
        raise
    assert run.finished, "the experiment's train does not call run.finish"
    _print_end(run, module.CLAIMS)


def _print_end(run: Run, claims: Sequence[Claim]) -> None:
    """What was measured, then where the copies are, then the verdicts, then where the run is."""
    result = run.result
    print_measured(result["metrics"], result["best"])
    print()
    for copy in run.copies:
        online = copy.startswith("http")
        print("wandb:", copy if online else f"offline copy in {copy}, send it with: make sync RUN={run.folder}")
    _, unjudged = judge_seed(claims, run.seed, result)
    for claim, why in unjudged.items():
        print(f"claim: {claim}: {why}")
    for verdict in result["claims"]:
        print(f"claim: {describe(verdict)}")
    print(f"run: {run.folder}")


def print_measured(metrics: Mapping[str, float], best: Mapping[str, float] | None = None) -> None:
    """Prints a line for each metric: its value, and beside it the best checkpoint's if there is one."""
    values = {name: f"{value:.6g}" for name, value in metrics.items()}
    name_width, value_width = (max(map(len, words), default=0) for words in (values, values.values()))
    for name, value in values.items():
        beside = f"best checkpoint {best[name]:.6g}" if best and name in best else ""
        print(f"{name:{name_width}}  {value:{value_width}}  {beside}".rstrip())
