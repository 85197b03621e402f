"""Continue a run that was stopped; --env-steps M, or any option of its config, starts a child run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from commands.command_line import first_word, print_help, wants_help
from reports.run_end import print_end
from training import interruption, learners
from training.cluster.ray_learners import Work, launch
from training.cluster.ray_session import WorkersFailedError
from training.errors import UserError
from training.experiments import claims_of, read_run
from training.optimizer.non_finite import NonFinite
from training.options import parse_options
from training.run.files import read_json, write_json
from training.run.folder import find_checkpoint, new_folder
from training.run.run import Run
from training.run.stages import require_no_stage

TAKES = "RUN"


@dataclass(frozen=True)
class Options:
    """Where a child is written."""

    run_dir: str | None = None
    """A new or empty folder; by default runs/<experiment>/<id>."""


def main(argv: Sequence[str], package: str) -> int:
    """Continues a run that was stopped, or begins a child where it is: --env-steps M, or any option of its config."""
    if wants_help(argv):
        return print_help("resume RUN", main.__doc__, Options())
    parent = Path(first_word(argv, "resume", TAKES))
    settings, experiment, config = read_run(parent, package)
    options, config = parse_options(argv[1:], Options(), config)
    begins_child, several = bool(argv[1:]), learners_of(config) > 1
    if begins_child:
        require_no_stage(parent, settings)
        _require_more(parent, config)
        own = Path(options.run_dir) if options.run_dir else None
        own = own or (new_folder(settings["experiment"], config.seed) if several else None)
        work = partial(_begin_child, own, parent, settings, experiment.__name__, config)
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
    folder: Path | None, parent: Path, settings: Mapping[str, Any], module_name: str, config: Any, scratch: Path | None
) -> None:
    """A new run, with another config, that begins with what its parent came to; `scratch` as above."""
    experiment = import_module(module_name)
    with (
        interruption.catch(),
        Run.create(
            settings["experiment"],
            config,
            folder=scratch or folder,
            tracker=settings["tracker"] if scratch is None else "none",
            parent=str(parent),
            chosen=settings["chosen"],
            begin_with=[parent / name for name in ("checkpoints", "metrics.jsonl", "timing.jsonl")],
            claims=claims_of(experiment, config),
        ) as run,
        reporting_end(run),
    ):
        experiment.train(config, run)


@contextmanager
def reporting_end(run: Run) -> Iterator[None]:
    """Around the training of a run: says how to continue it, where its last good checkpoint is, or what came of it."""
    try:
        yield
    except interruption.Interrupted:
        print(f"interrupted; continue with: python -m experiments resume {run.folder}", file=sys.stderr)
        raise
    except (NonFinite, WorkersFailedError) as error:
        good = run.last_checkpoint
        error.add_note(f"the last good checkpoint is {good}" if good else "there is no checkpoint yet")
        raise
    assert run.finished, "the experiment's train does not call run.finish"
    print_end(run)


def learners_of(config: Any) -> int:
    """How many processes share the gradients of a run."""
    return int(getattr(config, "learners", 1))


def on_learners(work: Work, config: Any, folder: Path, module_name: str) -> None:
    """Lets several learners do the work on the run in this folder, and go on with it when one of them was lost."""
    folder = folder.resolve()
    again = partial(_go_on, folder, module_name, config)
    gpu = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    launch(work, again, folder, config.learners, address=getattr(config, "ray_address", None), gpu=gpu)
