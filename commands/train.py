"""Train one seed; options change the config: --seed 2 --agent.horizon 64."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from agents.recipes.presets import PresetOptions, default_config, group_of, has_presets
from commands.command_line import first_word, print_help, wants_help
from commands.resume import learners_of, on_learners, reporting_end
from training import interruption
from training.experiments import claims_of, load_experiment
from training.options import parse_options
from training.run.folder import new_folder
from training.run.run import Run
from training.run.tracker import read_trackers

TAKES = "NAME"


@dataclass(frozen=True)
class Options:
    """Where a run is written and who gets a copy."""

    run_dir: str | None = None
    """A new or empty folder; by default runs/<experiment>/<id>, of an algorithm runs/<algorithm>-<environment>/<id>."""
    tracker: str = "auto"
    """Weights & Biases: auto (online when logged in and offline otherwise), online or offline, and tensorboard, with
    commas between them; or none. With more: online+weights+histograms+code, tensorboard+histograms."""

    def __post_init__(self) -> None:
        read_trackers(self.tracker)

    @property
    def folder(self) -> Path | None:
        return Path(self.run_dir) if self.run_dir else None


def main(argv: Sequence[str], package: str) -> int:
    """Makes a new run of the experiment and trains it."""
    if wants_help(argv) and len(argv) == 1:
        print("usage: python -m experiments train NAME [options]; `train NAME --help` lists the options of NAME")
        return 0
    name = first_word(argv, "train", TAKES)
    experiment = load_experiment(name, package)
    if wants_help(argv):
        more = (PresetOptions(),) if has_presets(experiment) else ()
        return print_help(f"train {name}", experiment.__doc__, Options(), *more, experiment.Config())
    default = default_config(experiment, argv[1:])
    options, *_, config = parse_options(argv[1:], Options(), *default.asks, default.config)
    if learners_of(config) > 1:
        folder = options.folder or new_folder(group_of(experiment, config), config.seed)
        own = replace(options, run_dir=str(folder))
        work = partial(_train_together, name, experiment.__name__, config, own, default.chosen)
        on_learners(work, config, folder, experiment.__name__)
        return 0
    with _new_run(name, experiment, config, options, default.chosen) as run:
        experiment.train(config, run)
    return 0


@contextmanager
def _new_run(
    name: str, experiment: ModuleType, config: Any, options: Options, chosen: Mapping[str, str]
) -> Iterator[Run]:
    """A run for the experiment to train in; what came of it is printed at its end."""
    with (
        interruption.catch(),
        Run.create(
            name,
            config,
            folder=options.folder,
            tracker=options.tracker,
            chosen=chosen,
            group=group_of(experiment, config),
            claims=claims_of(experiment, config),
        ) as run,
        reporting_end(run),
    ):
        yield run


def _train_together(
    name: str, module_name: str, config: Any, options: Options, chosen: Mapping[str, str], scratch: Path | None
) -> None:
    """What one of several learners does; in `scratch`, without a copy, where this is not the one whose run is kept."""
    experiment = import_module(module_name)
    own = options if scratch is None else Options(run_dir=str(scratch), tracker="none")
    with _new_run(name, experiment, config, own, chosen) as run:
        experiment.train(config, run)
