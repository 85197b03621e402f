"""The commands that make and continue runs. An experiment is given as its module, so that nothing here imports one."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar

import torch

from reports.plots import draw_rates
from reports.rate_curve import RateRangeOptions, read_curve, with_rate_range
from training import interruption, learners
from training.claims import Claim, describe, judge_seed
from training.cluster.ray_learners import Work, launch
from training.cluster.ray_session import WorkersFailedError
from training.errors import UserError
from training.optimizer.non_finite import NonFinite
from training.options import config_from_tree, parse_options
from training.run.files import read_json, write_json
from training.run.folder import find_checkpoint, new_identity, read_settings
from training.run.run import Run
from training.run.stages import require_no_stage

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


Options = TypeVar("Options", TrainOptions, ResumeOptions)


def train(name: str, module: ModuleType, argv: Sequence[str]) -> None:
    """Makes a new run of the experiment and trains it."""
    options, config = parse_options(argv, TrainOptions(), module.Config())
    options = _with_folder(options, name, config)
    _on_learners(config, partial(_train, name, module.__name__, config, options), options.run_dir, module.__name__)


def _train(name: str, module_name: str, config: Any, options: TrainOptions, scratch: Path | None) -> None:
    """A new run; in `scratch`, and without a copy, where this is not the learner whose run is kept."""
    module = import_module(module_name)
    if scratch is not None:
        options = TrainOptions(run_dir=str(scratch), tracker="none")
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


def _learners_of(config: Any) -> int:
    return int(getattr(config, "learners", 1))


def _with_folder(options: Options, experiment: str, config: Any) -> Options:
    """Several learners know where the run is before it is made."""
    if options.run_dir or _learners_of(config) == 1:
        return options
    return replace(options, run_dir=str(Path("runs", experiment, new_identity(config.seed))))


def _on_learners(config: Any, work: Work, run_dir: str | None, module_name: str) -> None:
    """Works in this process, or in one for each of several learners, on the run in this folder."""
    if _learners_of(config) == 1:
        work(None)
        return
    assert run_dir is not None
    folder = Path(run_dir).resolve()
    gpu = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    again = partial(_resume, folder, module_name, config)
    launch(work, again, folder, config.learners, address=getattr(config, "ray_address", None), gpu=gpu)


def resume(folder: Path, load: LoadExperiment, argv: Sequence[str]) -> None:
    """Continues a run that was stopped, or begins a child where it is: --env-steps M, or any option of its config."""
    settings = read_settings(folder)
    module = load(settings["experiment"])
    config = read_config(folder, settings, module)
    options, changed = parse_options(argv, ResumeOptions(), config)
    if argv:
        require_no_stage(folder, settings)
        _require_more(folder, changed)
        options = _with_folder(options, settings["experiment"], changed)
        begin = partial(_begin_child, folder, settings, module.__name__, changed, options)
        _on_learners(changed, begin, options.run_dir, module.__name__)
        return
    _on_learners(config, partial(_resume, folder, module.__name__, config), str(folder), module.__name__)


def _resume(folder: Path, module_name: str, config: Any, scratch: Path | None) -> None:
    """Goes on with the run; in `scratch` with a copy of it, where this is not the learner whose run is kept."""
    module = import_module(module_name)
    if scratch is not None:
        shutil.copytree(folder, scratch, ignore=shutil.ignore_patterns("lock", "wandb", "videos"))
        write_json(scratch / "config.json", {**read_json(scratch / "config.json"), "tracker": "none"})
    learners.gathered(None)  # nobody goes on before all have copied it
    with interruption.catch(), Run.open(scratch or folder, claims=module.CLAIMS) as run:
        if not run.finished:
            _run_experiment(run, module, config)


def read_config(folder: Path, settings: Mapping[str, Any], module: ModuleType) -> Any:
    """The config of a run as the experiment's dataclass; `settings` are the contents of its `config.json`."""
    return config_from_tree(settings["config"], module.Config(), source=str(folder / "config.json"))


def _require_more(folder: Path, config: Any) -> None:
    """Raises UserError unless the run in the folder has a checkpoint and the config's budget goes on from there."""
    if not (folder / "checkpoints").is_dir():
        raise UserError(f"{folder} cannot be extended: it has no checkpoints of its own")
    done = read_json(find_checkpoint(folder, "last") / "manifest.json")["counters"]
    count, unit = config.until.count, config.until.unit
    if count <= done[unit]:
        raise UserError(f"a budget of {count} {unit}: it takes more than the {done[unit]} that {folder} has done")


def _begin_child(
    folder: Path,
    settings: dict[str, Any],
    module_name: str,
    config: Any,
    options: ResumeOptions,
    scratch: Path | None,
) -> None:
    """A new run, with another config, that begins with what the one in `folder` came to."""
    own = Path(options.run_dir) if options.run_dir else None
    module = import_module(module_name)
    with (
        interruption.catch(),
        Run.create(
            settings["experiment"],
            config,
            folder=scratch or own,
            tracker=settings["tracker"] if scratch is None else "none",
            parent=str(folder),
            chosen=settings["chosen"],
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
    except (NonFinite, WorkersFailedError) as error:
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
