"""The datasets of one training run, as D4RL has them (Fu et al. 2020, https://arxiv.org/abs/2004.07219, section 5).

`expert` are episodes of the policy at the end of its training, `medium` of the one that had come half of the way,
`replay` of all that there were on the way, and `mixed` is the three together. All draw their actions, as the policy
did: a dataset of one action for each state would teach nothing about the others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from agents.acting.recording import record, save
from agents.policies.saved import policy_of
from envs.config import EnvConfig
from envs.episodes.dataset_folders import copy_dataset, has_dataset, locked, roots
from envs.episodes.episodes import Episodes, join
from training import interruption
from training.core import Counters
from training.errors import UserError, require
from training.run.checkpoint import newest_first, read_state
from training.run.run import Run
from training.seeding import derived_seed

KINDS = ("expert", "medium", "replay", "mixed")


@dataclass(frozen=True)
class MixtureConfig:
    """What is recorded of a learner."""

    namespace: str
    """The datasets are called `<namespace>/expert-v0` and so on."""
    episodes: int = 100
    """Of the expert, and of the medium policy."""
    replay_episodes: int = 15
    """Of every checkpoint."""

    def __post_init__(self) -> None:
        require(self.episodes >= 1, "episodes", self.episodes, "at least 1")
        require(self.replay_episodes >= 1, "replay_episodes", self.replay_episodes, "at least 1")

    @property
    def names(self) -> dict[str, str]:
        """The name of each kind of dataset."""
        return {kind: f"{self.namespace}/{kind}-v0" for kind in KINDS}


class Recording(Protocol):
    """The config of an experiment that trains a policy and records it."""

    @property
    def mixture(self) -> MixtureConfig: ...
    @property
    def env(self) -> EnvConfig: ...
    @property
    def env_steps(self) -> int: ...


def learn_and_record(
    config: Recording, run: Run, learn: Callable[[Run], None], algorithm: str, *, default: Recording
) -> None:
    """A run of two stages: `learn` trains the learner, and then it is recorded.

    The datasets of the `default` config are published under their names.
    """
    learner, recording = run.stage("learn"), run.stage("record")
    if not learner.finished:
        learn(learner)
    measured = record_mixture(config.mixture, run, learner, config.env, algorithm)
    now = Counters(env_steps=config.env_steps)
    recording.finish(now, metrics=measured)
    run.finish(now, metrics=measured)
    if config == default:
        publish(config.mixture, run)


def record_mixture(config: MixtureConfig, run: Run, learner: Run, env: EnvConfig, algorithm: str) -> dict[str, float]:
    """Records the stage `learner` of a run into the run's own `datasets/`; returns what each dataset is worth.

    A run that was stopped on the way records again what it had not written yet. Raises UserError when the learner kept
    too few checkpoints, and Interrupted.
    """
    checkpoints = newest_first(learner.folder / "checkpoints")[::-1]
    if len(checkpoints) < 3:
        raise UserError(f"{learner.folder} has {len(checkpoints)} checkpoints: a mixture takes at least 3")

    def play(use: str, checkpoint: Path, episodes: int) -> tuple[Episodes, list[int]]:
        interruption.check()
        policy = policy_of(read_state(checkpoint, "agent"))
        return record(policy, env, episodes, mode="explore", seed=derived_seed(run.seed, use))

    by_age = [play(f"replay {age}", folder, config.replay_episodes) for age, folder in enumerate(checkpoints)]
    returns = np.array([episodes.returns.mean() for episodes, _ in by_age])
    halfway = int(np.abs(returns - (returns[0] + returns.max()) / 2).argmin())
    recorded = {
        "expert": play("expert", checkpoints[-1], config.episodes),
        "medium": play("medium", checkpoints[halfway], config.episodes),
        "replay": _joined(by_age),
    }
    recorded["mixed"] = _joined(list(recorded.values()))
    root = run.folder / "datasets"
    for kind, (episodes, seeds) in recorded.items():
        if not has_dataset(config.names[kind], root):
            told = {"experiment": run.experiment, "run": run.folder.name, "run_seed": run.seed, "mode": "explore"}
            save(config.names[kind], episodes, seeds, env, algorithm=algorithm, told=told, root=root)
    return {
        f"{kind}/{measure.partition('/')[2]}": value
        for kind, (episodes, _) in recorded.items()
        for measure, value in episodes.measures.items()
    }


def _joined(parts: list[tuple[Episodes, list[int]]]) -> tuple[Episodes, list[int]]:
    return join([episodes for episodes, _ in parts]), [seed for _, seeds in parts for seed in seeds]


def publish(config: MixtureConfig, run: Run) -> None:
    """Copies the datasets of a run to where datasets lie, but for those whose names are taken."""
    for name in config.names.values():
        if has_dataset(name, roots()[0]):
            print(f"dataset {name} is there already and stays; this run's is in {run.folder}/datasets", file=sys.stderr)
        else:
            print(f"dataset {name}: {copy_dataset(name, run.folder / 'datasets')}", file=sys.stderr)


def provide(
    name: str, config: MixtureConfig, recipe: str, recipe_config: Any, train: Callable[[Any, Run], None]
) -> None:
    """Runs the experiment `recipe` where `name` is one of its datasets and missing; other processes wait meanwhile."""
    if name not in config.names.values() or any(has_dataset(name, root) for root in roots()):
        return
    with locked(roots()[0]):
        if has_dataset(name, roots()[0]):
            return
        print(f"dataset {name} is missing: {recipe} records it first", file=sys.stderr)
        with Run.create(recipe, recipe_config, tracker="none") as run:
            train(recipe_config, run)
