"""The commands that make and continue runs. An experiment is given as its module, so that nothing here imports one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from training import interruption
from training.claims import Claim, describe, judge_seed
from training.config import config_from_tree, parse_options
from training.core import Unit, UserError
from training.files import read_json
from training.non_finite import NonFinite
from training.run import Run
from training.run_folder import find_checkpoint, read_settings

BUDGETS: tuple[Unit, ...] = ("env_steps", "epochs")
"""The fields of an experiment's config that may be its budget."""
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
    """Where a child is written."""

    run_dir: str | None = None
    """A new or empty folder; by default runs/<experiment>/<id>."""


def train(name: str, module: ModuleType, argv: Sequence[str]) -> None:
    """Makes a new run of the experiment and trains it."""
    options, config = parse_options(argv, TrainOptions(), module.Config())
    folder = Path(options.run_dir) if options.run_dir else None
    with (
        interruption.catch(),
        Run.create(name, config, folder=folder, tracker=options.tracker, claims=module.CLAIMS) as run,
    ):
        _run_experiment(run, module, config)


def resume(folder: Path, load: LoadExperiment, argv: Sequence[str]) -> None:
    """Continues a run that was stopped, or begins a child where it is: --env-steps M, or any option of its config."""
    settings = read_settings(folder)
    module = load(settings["experiment"])
    config = read_config(folder, settings, module)
    options, changed = parse_options(argv, ResumeOptions(), config)
    if argv:
        _begin_child(folder, settings, module, options, changed)
        return
    with interruption.catch(), Run.open(folder, claims=module.CLAIMS) as run:
        if not run.finished:
            _run_experiment(run, module, config)


def read_config(folder: Path, settings: Mapping[str, Any], module: ModuleType) -> Any:
    """The config of a run as the experiment's dataclass; `settings` are the contents of its `config.json`."""
    return config_from_tree(settings["config"], module.Config(), source=str(folder / "config.json"))


def _begin_child(
    folder: Path, settings: Mapping[str, Any], module: ModuleType, options: ResumeOptions, config: Any
) -> None:
    """Trains on with another config from the last checkpoint of a run, in a folder of its own."""
    if not (folder / "checkpoints").is_dir():
        raise UserError(f"{folder} cannot be extended: it has no checkpoints of its own")
    done = read_json(find_checkpoint(folder, "last") / "manifest.json")["counters"]
    for unit in BUDGETS:
        count = getattr(config, unit, None)
        if count is not None and count <= done[unit]:
            raise UserError(f"{unit} = {count}: it takes more than the {done[unit]} that {folder} has done")
    with (
        interruption.catch(),
        Run.create(
            settings["experiment"],
            config,
            folder=Path(options.run_dir) if options.run_dir else None,
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
