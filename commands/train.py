"""Train one seed; options change the config: --seed 2 --agent.horizon 64."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from agents.recipes.presets import PresetOptions, default_config, group_of
from commands.command_line import first_word, wants_help
from commands.shared.after import print_next
from commands.shared.batch import Asked, BatchOptions, plan, train_in_turn
from commands.shared.described import describe, keep, kept, require_known
from commands.shared.sources import SourceOptions, with_sources
from training import interruption
from training.energy.intensity import EnergyOptions
from training.errors import require
from training.experiments import claims_of, find_scripts, load_experiment
from training.option_help import help_text, main_options, options_of
from training.options import as_words, field_types, parse_options, take_options, translated
from training.program import program
from training.run.folder import new_folder
from training.run.tracker import read_trackers
from training.run.wandb_options import WandbOptions, require_login

if TYPE_CHECKING:  # torch comes with it: help, and the answer to a mistake, are there before
    from training.run.run import Run

TAKES = "NAME"
SHORT = 30
"""So many options are all shown by --help."""


@dataclass(frozen=True)
class Options:
    """Where a run is written and who gets a copy."""

    run_dir: str | None = None
    """A new or empty folder; by default runs/<experiment>/<id>, of an algorithm runs/<algorithm>-<environment>/<id>."""
    tracker: str = "auto"
    """Weights & Biases: auto (online when logged in and offline otherwise), online or offline, and tensorboard, with
    commas between them; or none. With more: online+weights+histograms+code, tensorboard+histograms."""
    wandb: WandbOptions = WandbOptions()
    energy: EnergyOptions = EnergyOptions()

    def __post_init__(self) -> None:
        is_copied = any(target.library == "wandb" for target in read_trackers(self.tracker))
        for key, value in self.wandb.given.items():
            require(is_copied, f"wandb.{key}", value, f"a tracker that is W&B, and not {self.tracker!r}")

    @property
    def folder(self) -> Path | None:
        return Path(self.run_dir) if self.run_dir else None


OWN = (Options, SourceOptions, BatchOptions)
"""The options of the command, beside those of the config."""


def main(argv: Sequence[str], package: str) -> int:
    """Makes a new run of the experiment and trains it."""
    if wants_help(argv) and len(argv) == 1:
        print(f"usage: {program()} train NAME [options]; `train NAME --help` lists the options of NAME")
        return 0
    name = first_word(argv, "train", TAKES)
    if wants_help(argv):
        return _print_help(name, package, argv[1:])
    asked = _checked(argv[1:], name, package)
    experiment = load_experiment(name, package)
    batch, asked = take_options(asked, BatchOptions())
    words = with_sources(asked, [Options(), *_preset_options(name, package)], experiment, package)
    planned = plan(words, field_types(experiment.Config()), batch)
    require_login(take_options(words, Options())[0].tracker)
    if batch.resume or len(planned) > 1 or planned[0].differs:
        return train_in_turn(name, package, planned, partial(_read, experiment), again=argv, resume=batch.resume)
    default = default_config(experiment, words)
    options, *_, config = parse_options(words, Options(), *default.asks, default.config)
    from commands.resume import learners_of, on_learners

    if learners_of(config) > 1:
        folder = options.folder or new_folder(group_of(experiment, config), config.seed)
        own = replace(options, run_dir=str(folder))
        work = partial(_train_together, name, experiment.__name__, config, own, default.chosen)
        on_learners(work, config, folder, experiment.__name__)
        return 0
    with _new_run(name, experiment, config, options, default.chosen) as run:
        experiment.train(config, run)
    print_next(run.folder, name, has_policy=hasattr(config, "env"))
    return 0


def _print_help(name: str, package: str, argv: Sequence[str]) -> int:
    """Prints the options that people change, or all of them; of an algorithm whose environment is named its preset."""
    asked = [word for word in argv if word not in ("--help", "-h", "all")]
    whole, known = "all" in argv, describe(name, package)
    of_config = known.options
    if asked and _preset_options(name, package):
        of_config = options_of(default_config(load_experiment(name, package), _checked(asked, name, package)).config)
    own = [*(options() for options in OWN), *_preset_options(name, package)]
    options = [option for one in own for option in options_of(one)]
    options += of_config
    shown = options if whole or len(options) <= SHORT else main_options(options)
    more = (
        ""
        if len(shown) == len(options)
        else f"These are {len(shown)} of {len(options)} options: --help all shows the others too."
    )
    doc = known.doc.partition("\n\n")[0]
    print(help_text(f"{program()} train {name}", doc, shown, more))
    return 0


def _checked(argv: Sequence[str], name: str, package: str) -> list[str]:
    """The options by their own names. Mistakes are answered at once where the experiment is described already."""
    known = kept(name, package)
    types = known.types if known else keep(load_experiment(name, package), name, package).types
    more = [*(options() for options in OWN), *_preset_options(name, package)]
    own = [field for options in more for field in field_types(options)]
    words = translated(argv, [*own, *types])
    require_known(words, types)
    return [word for option, tokens in words for word in as_words(option, tokens)]


def _preset_options(name: str, package: str) -> list[PresetOptions]:
    """Those of the script of an algorithm; an experiment has none."""
    return [PresetOptions()] if name in find_scripts(package, "PRESETS") else []


def _read(experiment: ModuleType, words: Sequence[str]) -> Asked:
    """What is asked of one run of several."""
    default = default_config(experiment, words)
    options, *_, config = parse_options(words, Options(), *default.asks, default.config)
    return Asked(options.folder, group_of(experiment, config), config)


@contextmanager
def _new_run(
    name: str, experiment: ModuleType, config: Any, options: Options, chosen: Mapping[str, str]
) -> Iterator[Run]:
    """A run for the experiment to train in; what came of it is printed at its end."""
    from commands.resume import reporting_end
    from training.run.run import Run

    with (
        interruption.catch(),
        Run.create(
            name,
            config,
            folder=options.folder,
            tracker=options.tracker,
            wandb=options.wandb.given,
            energy=options.energy.given,
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
