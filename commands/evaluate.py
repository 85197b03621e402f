"""Measure the policy of a run: --episodes 200 --checkpoint best."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from commands.command_line import first_run, print_help, wants_help
from envs.video import record_video
from reports.run_end import print_measured
from training.errors import UserError, require
from training.experiments import read_run
from training.options import parse_options
from training.run.console import Console
from training.run.files import append_json_line, read_json
from training.run.folder import find_checkpoint
from training.run.result import unit_of

TAKES = "RUN"
KEPT = "evaluations.jsonl"
"""The file of the run's folder that gets a line for each evaluation."""


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
    video: int = 0
    """Also record so many episodes into the run's videos/ (extra `video`)."""
    json: bool = False
    """Print one JSON object instead of words."""


def main(argv: Sequence[str], package: str) -> int:
    """Plays episodes with the policy of a run, prints what they measure and keeps it in the run's evaluations.jsonl."""
    if wants_help(argv):
        return print_help("evaluate RUN", main.__doc__, Options())
    folder = first_run(argv, "evaluate")
    (options,) = parse_options(argv[1:], Options())
    require(options.seed is None or options.seed >= 0, "seed", options.seed, "an integer of at least 0")
    require(options.episodes is None or options.episodes >= 1, "episodes", options.episodes, "at least 1")
    require(options.video >= 0, "video", options.video, "a number of episodes, at least 0")
    config = acting_config(folder, package, alone=False)
    how = replace(config.evaluation, greedy=config.evaluation.greedy and not options.stochastic)
    if options.episodes is not None:
        how = replace(how, final_episodes=options.episodes)

    from agents.acting.evaluation import Evaluation
    from agents.policies.saved import policy_at

    checkpoint = find_checkpoint(folder, options.checkpoint)
    policy = policy_at(checkpoint)
    seed = options.seed if options.seed is not None else config.seed
    trained = getattr(config, "env_steps", None) if options.episodes is None else None
    with Console(folder.name) as console:
        evaluation = Evaluation(config.env, how, seed=seed, trained_env_steps=trained, show=console.show)
        with closing(evaluation):
            measured = evaluation.final(policy)
    told = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "checkpoint": checkpoint.relative_to(folder).as_posix(),
        "which": options.checkpoint,
        "counters": read_json(checkpoint / "manifest.json")["counters"],
        "seed": seed,
        "greedy": how.greedy,
        "metrics": measured,
    }
    _keep(folder, told)
    videos = [
        record_video(config.env, policy.predictor(greedy=how.greedy), folder / "videos", seed=seed, episode=episode)
        for episode in range(options.video)
    ]
    if options.json:
        print(json.dumps(told | {"videos": [str(video) for video in videos]}))
        return 0
    print_measured(measured)
    print(f"checkpoint: {told_checkpoint(checkpoint)}")
    for video in videos:
        print(f"video: {video}")
    return 0


def acting_config(folder: Path, package: str, *, alone: bool = True) -> Any:
    """The config of a run that trained a policy.

    Raises UserError for one that has none to play with, for a game of two players, which are measured against others,
    and, where a policy must be `alone`, for a match of several agents.
    """
    _, _, config = read_run(folder, package)
    if not hasattr(config, "env"):
        raise UserError(f"{folder} learned from data and has no policy to play with: result.json has its measures")
    if config.env.of_turns:
        raise UserError(f"{folder} plays a game of two: result.json has what it won against others, `match` plays it")
    if alone and config.env.of_agents:
        raise UserError(
            f"{folder} plays a match of several agents: `evaluate` measures it, nothing shows or records it"
        )
    return config


def told_checkpoint(checkpoint: Path) -> str:
    """Which one it is, and how far training was: of a run that acts in env steps, otherwise in updates."""
    counters = read_json(checkpoint / "manifest.json")["counters"]
    unit = unit_of(counters)
    return f"{checkpoint} at {counters[unit]:,} {unit}"


def _keep(folder: Path, told: Mapping[str, Any]) -> None:
    """Somebody else's run may be measured too, where nothing can be written."""
    try:
        append_json_line(folder / KEPT, told)
    except OSError as error:
        print(f"warning: not kept in {folder / KEPT}: {error.strerror}", file=sys.stderr)
