"""Measure the policy of a run: --episodes 200 --checkpoint best."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from commands.command_line import first_run, print_help, wants_help
from envs.video import record_video
from reports.run_end import print_measured
from training.errors import UserError, require
from training.experiments import read_run
from training.options import parse_options
from training.run.console import Console

TAKES = "RUN"


@dataclass(frozen=True)
class Options:
    """What is measured, and how."""

    checkpoint: Literal["last", "best"] = "last"
    episodes: int | None = None
    """By default those of the evaluation that ends a run, bounded as that is by evaluation.max_env_steps; a number that
    is asked for here is played whole, unless the run's config itself bounds it."""
    seed: int | None = None
    """Of the episodes and the actions; by default the run's own."""
    stochastic: bool = False
    """Draw the actions, as in training, instead of taking the most likely ones."""
    video: bool = False
    """Also record one episode into the run's videos/ (extra `video`)."""


def main(argv: Sequence[str], package: str) -> int:
    """Plays episodes with the policy of a run and prints what they measure."""
    if wants_help(argv):
        return print_help("evaluate RUN", main.__doc__, Options())
    folder = first_run(argv, "evaluate")
    (options,) = parse_options(argv[1:], Options())
    require(options.seed is None or options.seed >= 0, "seed", options.seed, "an integer of at least 0")
    config = acting_config(folder, package)
    how = replace(config.evaluation, greedy=config.evaluation.greedy and not options.stochastic)
    if options.episodes is not None:
        whole = options.episodes >= 1 and options.episodes % how.num_envs == 0
        require(whole, "episodes", options.episodes, f"a positive multiple of evaluation.num_envs = {how.num_envs}")
        how = replace(how, final_episodes=options.episodes)

    from agents.acting.evaluation import Evaluation
    from agents.policies.saved import load_policy

    policy = load_policy(folder, options.checkpoint)
    seed = options.seed if options.seed is not None else config.seed
    trained = getattr(config, "env_steps", None) if options.episodes is None else None
    with Console(folder.name) as console:
        evaluation = Evaluation(config.env, how, seed=seed, trained_env_steps=trained, show=console.show)
        with closing(evaluation):
            measured = evaluation.final(policy)
    print_measured(measured)
    if options.video:
        predict = policy.predictor(greedy=how.greedy)
        print(f"video: {record_video(config.env, predict, folder / 'videos', seed=seed)}")
    return 0


def acting_config(folder: Path, package: str) -> Any:
    """The config of a run that trained a policy; raises UserError for one that has none to play with."""
    _, _, config = read_run(folder, package)
    if not hasattr(config, "env"):
        raise UserError(f"{folder} learned from data and has no policy to play with: result.json has its measures")
    return config
