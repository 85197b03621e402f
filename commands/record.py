"""Record episodes of a run's policy as a dataset: --episodes 500 --dataset robots/walk-v0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from commands.command_line import first_run, print_help, wants_help
from commands.evaluate import acting_config
from reports.run_end import print_measured
from training.errors import require
from training.options import parse_options
from training.run.console import Console, nobody

TAKES = "RUN"


@dataclass(frozen=True)
class Options:
    """What is recorded, and under which name."""

    dataset: str = ""
    """The name of the new dataset, such as robots/walk-v0."""
    episodes: int = 100
    checkpoint: Literal["last", "best"] = "last"
    seed: int | None = None
    """Of the episodes and the actions; by default the run's own. The episodes are others than those of training."""
    stochastic: bool = False
    """Draw the actions, as in training, instead of taking the most likely ones."""


def main(argv: Sequence[str], package: str) -> int:
    """Plays episodes with the policy of a run into a Minari dataset on this machine (extra `offline`)."""
    if wants_help(argv):
        return print_help("record RUN", main.__doc__, Options())
    folder = first_run(argv, "record")
    (options,) = parse_options(argv[1:], Options())
    require(options.episodes >= 1, "episodes", options.episodes, "at least 1")
    require(options.seed is None or options.seed >= 0, "seed", options.seed, "an integer of at least 0")
    config = acting_config(folder, package)

    from agents.acting.recording import record_run

    with Console(folder.name) as console:
        where, episodes = record_run(
            folder,
            config.env,
            type(config.agent).__name__.removesuffix("Config"),
            name=options.dataset,
            episodes=options.episodes,
            which=options.checkpoint,
            stochastic=options.stochastic,
            seed=options.seed,
            show=console.show if console.is_live else nobody,
        )
    print_measured(episodes.measures)
    print(f"dataset: {options.dataset} in {where}")
    return 0
