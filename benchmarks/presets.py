"""What an algorithm's defaults are worth where nobody tuned them: python -m benchmarks.presets [--write].

PPO, SAC and DQN learn ten environments that no preset names, once with our defaults (`train ppo --env.id ...`) and once
with those of Stable-Baselines3, on the same seeds and for the same env steps. What is measured is the return of the
final policy, greedy. A run that is finished, with the same config, is not trained again: called again, it goes on where
it stopped. `--write` writes docs/presets.md once all is measured.

`--only ppo` or `--only Reacher-v5` takes a part, `--seeds 1 2` others than those that are judged, `--env-steps N` a
short try.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import torch

from agents.acting.evaluation import EvaluationConfig
from agents.libraries import sb3
from agents.libraries.sb3 import SB3PolicyConfig, SB3RunConfig
from agents.recipes.acting import ActingConfig
from agents.recipes.presets import default_in
from envs.config import EnvConfig
from training import interruption
from training.claims import FIRST_SEED
from training.core import Every
from training.errors import UserError
from training.experiments import load_experiment
from training.intervals import interval, upper_bound
from training.options import config_hash, parse_options
from training.run.checkpoint import CheckpointConfig
from training.run.folder import read_settings
from training.run.result import read_result
from training.run.run import Run

PAGE = Path("docs", "presets.md")
METRIC = "evaluation/return_mean"
SEEDS = tuple(range(FIRST_SEED, FIRST_SEED + 5))
TOY_STEPS = 200
"""Of an episode where the registration has no limit: a policy may walk in circles."""
DISCRETE = {
    "CartPole-v0": None,
    "FrozenLake-v1": None,
    "CliffWalking-v1": TOY_STEPS,
    "CliffWalkingSlippery-v1": TOY_STEPS,
    "Taxi-v3": None,
}
CONTINUOUS = {
    "InvertedPendulum-v5": None,
    "InvertedDoublePendulum-v5": None,
    "Reacher-v5": None,
    "Pusher-v5": None,
    "Walker2d-v5": None,
}
ENVIRONMENTS = DISCRETE | CONTINUOUS
"""What no preset names, by id; the value is a time limit."""
BUDGETS = {
    "ppo": dict.fromkeys(DISCRETE, 50_000) | dict.fromkeys(CONTINUOUS, 100_000),
    "dqn": dict.fromkeys(DISCRETE, 50_000),
    "sac": dict.fromkeys(CONTINUOUS, 10_000),
}
"""The env steps of each algorithm in each environment whose actions it takes: a seed takes one or two minutes."""
HEADER = (
    "| algorithm | environment | env steps | Regimen | Stable-Baselines3 | difference (95 %) | seeds | below |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Options:
    """What is trained, and where."""

    only: str = ""
    """An algorithm or an environment; nothing: all."""
    seeds: tuple[int, ...] = SEEDS
    env_steps: int | None = None
    run_dir: str = "runs/benchmarks/presets"
    write: bool = False


class Pair(NamedTuple):
    """One algorithm in one environment."""

    algorithm: str
    env: EnvConfig
    env_steps: int

    def __str__(self) -> str:
        return f"{self.algorithm} {self.env.id}"


def pairs(options: Options) -> Iterator[Pair]:
    """All that is asked for."""
    for algorithm, budgets in BUDGETS.items():
        for env_id, env_steps in budgets.items():
            if options.only in ("", algorithm, env_id):
                env = EnvConfig(env_id, time_limit=ENVIRONMENTS[env_id])
                yield Pair(algorithm, env, options.env_steps or env_steps)


def configs(pair: Pair, seed: int) -> dict[str, Any]:
    """The config of both sides: what is measured, and how long is trained, is the same."""
    never = Every(10 * pair.env_steps)
    same: dict[str, Any] = {
        "seed": seed,
        "env": pair.env,
        "env_steps": pair.env_steps,
        "threads": 1,
        "compile": False,
        "device": "cpu",
        "evaluation": EvaluationConfig(every=never, final_episodes=50),
        "checkpoint": CheckpointConfig(every=never, keep_last=1),
    }
    ours: ActingConfig = default_in(load_experiment(pair.algorithm, "experiments"), pair.env).config
    theirs = SB3RunConfig(env=pair.env, agent=SB3PolicyConfig(pair.algorithm.upper()))
    return {"ours": replace(ours, **same), "theirs": replace(theirs, **same)}


def measured(pair: Pair, seed: int, root: Path) -> dict[str, float]:
    """The final return of both sides on one seed; trains what is not finished."""
    found = {}
    for side, config in configs(pair, seed).items():
        folder = root / pair.algorithm / pair.env.id / f"{side}-seed-{seed}"
        if not _finished(folder, config):
            shutil.rmtree(folder, ignore_errors=True)
            train = sb3.train if side == "theirs" else load_experiment(pair.algorithm, "experiments").train
            name = pair.algorithm if side == "ours" else "benchmark_presets"
            with interruption.catch(), Run.create(name, config, folder=folder, tracker="none") as run:
                train(config, run)
        found[side] = float(read_result(folder)["metrics"][METRIC])
    return found


def _finished(folder: Path, config: Any) -> bool:
    """Whether a run with this config came to its end there."""
    try:
        same = read_settings(folder)["config_hash"] == config_hash(config)
    except UserError:
        return False
    return same and read_result(folder).get("status") == "completed"


def row(pair: Pair, scores: Sequence[dict[str, float]]) -> str:
    """Of the table. Below: the one-sided 95 % upper bound on the mean of the paired differences is less than 0."""
    difference = [score["ours"] - score["theirs"] for score in scores]
    both, bound = interval(difference), upper_bound(difference)
    if both is None or bound is None:  # seeds that do not differ
        told, below = f"{fmean(difference):+.4g}", fmean(difference) < 0
    else:
        told, below = f"{fmean(difference):+.4g}, {both[0]:.4g} to {both[1]:.4g}", bound < 0
    means = " | ".join(f"{fmean(score[side] for score in scores):.4g}" for side in ("ours", "theirs"))
    cells = f"| {pair.algorithm} | {pair.env.id} | {pair.env_steps:,} | {means} | {told} | {len(scores)} "
    return f"{cells}| {'yes' if below else 'no'} |\n"


def page(table: str) -> str:
    """The page in the docs."""
    return f"""\
<!-- `python -m benchmarks.presets --write` writes this page. -->
# What the defaults are worth

Ten environments that no preset names, with the defaults of Regimen and with those of Stable-Baselines3: the return of
the final policy, greedy, over 50 episodes, after the same env steps on the same seeds. Below: the one-sided 95 % bound
says that the mean of the paired differences is less than 0.

{table}"""


def main(argv: Sequence[str]) -> int:
    """Trains what is missing, prints the table and returns how many pairs are below."""
    (options,) = parse_options(argv, Options())
    torch.set_num_threads(1)
    rows = []
    for pair in pairs(options):
        scores = []
        for seed in options.seeds:
            scores.append(measured(pair, seed, Path(options.run_dir)))
            told = ", ".join(f"{side} {score:.4g}" for side, score in scores[-1].items())
            print(f"{pair} seed {seed}: {told}", file=sys.stderr)
        rows.append(row(pair, scores))
    table = HEADER + "".join(rows)
    print(table, end="")
    if options.write:
        whole = options.seeds == SEEDS and not options.only and options.env_steps is None
        if not whole:
            raise UserError("--write takes all pairs, with their own seeds and env steps")
        PAGE.write_text(page(table), encoding="utf-8")
        print(f"wrote {PAGE}")
    return sum(made.endswith("yes |\n") for made in rows)


if __name__ == "__main__":
    try:
        sys.exit(min(1, main(sys.argv[1:])))
    except UserError as error:
        print("error:", error, file=sys.stderr)
        sys.exit(2)
