"""Continue a run that was stopped; --env-steps M, or any option of its config, starts a child run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch.distributed import DistError

from agents.recipes.presets import group_of
from commands.command_line import first_run, print_help, wants_help
from reports.run_end import print_end
from training import interruption, learners
from training.cluster.ray_learners import Work, launch
from training.cluster.ray_session import WorkersFailedError
from training.diagnosis.diagnose import diagnose_run
from training.errors import UserError, require
from training.experiments import claims_of, read_run
from training.optimizer.non_finite import NonFinite
from training.options import changed_options, parse_options
from training.program import program
from training.run.checkpoint import forget_best
from training.run.files import read_json, write_json
from training.run.folder import find_checkpoint, new_folder
from training.run.run import Run
from training.run.stages import require_no_stage
from training.run.tracker import one_line

TAKES = "RUN"
BUDGETS = ("--env-steps=", "--epochs=", "--steps=")
"""A larger one fits whatever was saved."""
MEASURED = ("--env.", "--evaluation.")
"""With another of these, a score is another measure: what was the best before is not to be beaten."""


@dataclass(frozen=True)
class Options:
    """Where a child is written."""

    run_dir: str | None = None
    """A new or empty folder; by default runs/<experiment>/<id>."""


def main(argv: Sequence[str], package: str) -> int:
    """Continues a run that was stopped, or begins a child where it is: --env-steps M, or any option of its config."""
    if wants_help(argv):
        return print_help("resume RUN", main.__doc__, Options())
    parent = first_run(argv, "resume")
    settings, experiment, own_config = read_run(parent, package)
    options, config = parse_options(argv[1:], Options(), own_config)
    begins_child, several = bool(argv[1:]), learners_of(config) > 1
    if begins_child:
        require_no_stage(parent, settings)
        _require_more(parent, config)
        takes = f"{own_config.seed}: a child goes on with the random numbers of its parent"
        require(config.seed == own_config.seed, "seed", config.seed, takes)
        # What `auto` chose holds where it is still asked for: a choice never overrides an option.
        same = {name for name in settings["chosen"] if getattr(config, name, None) == getattr(own_config, name, None)}
        settings["chosen"] = {name: value for name, value in settings["chosen"].items() if name in same}
        own = Path(options.run_dir) if options.run_dir else None
        own = own or (new_folder(group_of(experiment, config), config.seed) if several else None)
        asked = changed_options(config, own_config)
        work = partial(_begin_child, own, parent, settings, experiment.__name__, config, asked)
    else:
        own, work = parent, partial(_go_on, parent, experiment.__name__, config)
    if several:
        assert own is not None
        on_learners(work, config, own, experiment.__name__)
    else:
        work(None)
    return 0


def _go_on(folder: Path, module_name: str, config: Any, scratch: Path | None) -> None:
    """Goes on with the run; in `scratch` with a copy of it, where this is not the learner whose run is kept."""
    experiment = import_module(module_name)
    if scratch is not None:
        shutil.copytree(folder, scratch, ignore=shutil.ignore_patterns("lock", "wandb", "videos"))
        write_json(scratch / "config.json", {**read_json(scratch / "config.json"), "tracker": "none"})
    learners.gathered(None)  # nobody goes on before all have copied it
    with interruption.catch(), Run.open(scratch or folder, claims=claims_of(experiment, config)) as run:
        if not run.finished:
            with reporting_end(run):
                experiment.train(config, run)


def _require_more(folder: Path, config: Any) -> None:
    """Raises UserError unless the run in the folder has a checkpoint and the config's budget goes on from there."""
    if not (folder / "checkpoints").is_dir():
        raise UserError(f"{folder} cannot be extended: it has no checkpoints of its own")
    done = read_json(find_checkpoint(folder, "last") / "manifest.json")["counters"]
    count, unit = config.until.count, config.until.unit
    if count <= done[unit]:
        raise UserError(f"a budget of {count} {unit}: it takes more than the {done[unit]} that {folder} has done")


def _begin_child(
    folder: Path | None,
    parent: Path,
    settings: Mapping[str, Any],
    module_name: str,
    config: Any,
    asked: Sequence[str],
    scratch: Path | None,
) -> None:
    """A new run that begins with what its parent came to and is `asked` for another config; `scratch` as above."""
    experiment = import_module(module_name)
    with (
        interruption.catch(),
        Run.create(
            settings["experiment"],
            config,
            folder=scratch or folder,
            tracker=settings["tracker"] if scratch is None else "none",
            wandb=settings.get("wandb"),
            energy=settings.get("energy"),
            parent=str(parent),
            chosen=settings["chosen"],
            group=group_of(experiment, config),
            begin_with=[parent / name for name in ("checkpoints", "metrics.jsonl", "timing.jsonl")],
            claims=claims_of(experiment, config),
        ) as run,
        reporting_end(run),
        _naming(asked, run, parent),
    ):
        if any(option.startswith(MEASURED) and not option.startswith("--evaluation.every.") for option in asked):
            forget_best(run.folder / "checkpoints")
        experiment.train(config, run)


@contextmanager
def _naming(asked: Sequence[str], run: Run, parent: Path) -> Iterator[None]:
    """Around the training of a child: what its parent saved need not fit the options by which it differs from it."""
    try:
        yield
    except (WorkersFailedError, DistError):
        raise
    except Exception as error:
        # Of the parts only a stream talks to the other learners, one of which may be lost.
        lost = learners.count() > 1 and run.loading == "stream" and type(error) is RuntimeError
        if run.loading is None or lost:
            raise
        told = str(error) if isinstance(error, UserError) else one_line(error)
        options = ", ".join([option for option in asked if not option.startswith(BUDGETS)] or asked)
        raise UserError(f"{options}: it does not fit what {parent} saved of its {run.loading!r} ({told})") from error


@contextmanager
def reporting_end(run: Run) -> Iterator[None]:
    """Around the training of a run: says how to continue it, where its last good checkpoint is, or what came of it.

    What is wrong with a finished run is kept in its `result.json` too, under `findings`. The run does not diagnose
    itself: what it is told of itself is no part of the source that it computes with.
    """
    try:
        yield
    except interruption.Interrupted:
        print(f"interrupted; continue with: {program()} resume {run.folder}", file=sys.stderr)
        raise
    except (NonFinite, WorkersFailedError) as error:
        good = run.last_checkpoint
        error.add_note(f"the last good checkpoint is {good}" if good else "there is no checkpoint yet")
        raise
    assert run.finished, "the experiment's train does not call run.finish"
    findings = diagnose_run(run.folder)
    kept = [{"stage": stage, **asdict(finding)} for stage, group in findings.items() for finding in group]
    run.add_to_result("findings", kept)
    print_end(run, findings)


def learners_of(config: Any) -> int:
    """How many processes share the gradients of a run."""
    return int(getattr(config, "learners", 1))


def on_learners(work: Work, config: Any, folder: Path, module_name: str) -> None:
    """Lets several learners do the work on the run in this folder, and go on with it when one of them was lost."""
    folder = folder.resolve()
    again = partial(_go_on, folder, module_name, config)
    gpu = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    launch(work, again, folder, config.learners, address=getattr(config, "ray_address", None), gpu=gpu)
