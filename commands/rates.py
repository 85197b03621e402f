"""Try a range of learning rates in one short run of an experiment that learns from data, and suggest one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from commands.command_line import first_word, print_help, wants_help
from commands.train import Options
from reports.plots import draw_rates
from reports.rate_curve import RateRangeOptions, read_curve, with_rate_range
from training import interruption
from training.experiments import load_experiment
from training.options import parse_options
from training.run.files import write_json
from training.run.run import Run
from training.run.wandb_options import require_login

TAKES = "NAME"


def main(argv: Sequence[str], package: str) -> int:
    """Tries a range of learning rates in one short run of an experiment that learns from data, and suggests one."""
    if wants_help(argv):
        return print_help("rates NAME", main.__doc__, Options(), RateRangeOptions())
    name = first_word(argv, "rates", TAKES)
    experiment = load_experiment(name, package)
    options, tested, config = parse_options(argv[1:], Options(), RateRangeOptions(), experiment.Config())
    config = with_rate_range(config, tested)
    require_login(options.tracker)
    wandb = options.wandb.given
    with (
        interruption.catch(),
        Run.create(name, config, folder=options.folder, tracker=options.tracker, wandb=wandb) as run,
    ):
        experiment.train(config, run)
    curve = read_curve(run.folder)
    write_json(run.folder / "learning_rates.json", {**curve._asdict(), "suggested": curve.suggested})
    if find_spec("matplotlib"):
        draw_rates(curve, run.folder / "learning_rates.svg")
    print(f"suggested learning rate: {curve.suggested:.2g}; the curve is in {run.folder}/learning_rates.*")
    return 0
