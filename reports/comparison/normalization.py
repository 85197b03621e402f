"""Scores of several environments on one scale: 0 is the low end of an environment, 1 its high end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from reports.comparison.published_scores import ATARI, ATARI_SOURCE, MUJOCO, MUJOCO_SOURCE
from reports.comparison.records import Array
from training.errors import UserError

TAKES = (
    "published, min-max, two groups or numbers such as random,ppo or 0,500, or those of each environment: "
    "CartPole-v1=10,500"
)


class Ends(NamedTuple):
    """What counts as 0 and as 1 in one environment."""

    low: float
    high: float


class Scale(NamedTuple):
    """The ends of every environment, and in words where they come from."""

    ends: dict[str, Ends]
    told: str

    def apply(self, task: str, scores: Array) -> Array:
        """Scores of an environment [...] on the common scale."""
        low, high = self.ends[task]
        return np.asarray((scores - low) / (high - low))


def published(task: str) -> Ends | None:
    """The published scores of an environment by its id; None: none is known here."""
    name = task.removeprefix("ALE/").partition("-")[0].removesuffix("NoFrameskip")
    if name in ATARI and (task.startswith("ALE/") or "NoFrameskip" in task):
        return Ends(*ATARI[name])
    return Ends(*MUJOCO[task]) if task in MUJOCO else None


def scale(asked: Sequence[str], scores: Mapping[str, Mapping[str, Array]], *, lower_is_better: bool = False) -> Scale:
    """The scale of a comparison.

    Args:
        asked: the words after `--normalize`; none: published scores where every environment has them, else min-max.
        scores: by environment, then by group.
        lower_is_better: the lowest score is the high end.

    Raises:
        UserError: words that are none of these, or an environment whose ends are not known or equal.
    """
    if not asked:
        asked = ["published"] if all(map(published, scores)) else ["min-max"]
    if list(asked) == ["min-max"]:
        told = "0 and 1 are the worst and the best score that is compared here: with other runs the numbers change"
        return _checked({task: _min_max(groups, lower_is_better) for task, groups in scores.items()}, told)
    if list(asked) == ["published"]:
        ends = {task: published(task) for task in scores}
        missing = [task for task, found in ends.items() if found is None]
        if missing:
            raise UserError(f"--normalize published: no published scores of {', '.join(missing)} are known here")
        sources = {ATARI_SOURCE if published_in_atari(task) else MUJOCO_SOURCE for task in scores}
        return _checked(
            {task: found for task, found in ends.items() if found}, f"0 and 1 are {'; '.join(sorted(sources))}"
        )
    return _checked(*_asked(asked, scores))


def published_in_atari(task: str) -> bool:
    """Whether it is an Atari game, not a MuJoCo task."""
    return task not in MUJOCO


def _asked(asked: Sequence[str], scores: Mapping[str, Mapping[str, Array]]) -> tuple[dict[str, Ends], str]:
    ends: dict[str, Ends] = {}
    everywhere = None
    for word in asked:
        task, equals, pair = word.rpartition("=")
        low, comma, high = pair.partition(",")
        if not comma or (equals and task not in scores):
            known = f"; the environments are {', '.join(scores)}" if equals else ""
            raise UserError(f"--normalize {word}: it takes {TAKES}{known}")
        if equals:
            ends[task] = Ends(_end(low, task, scores), _end(high, task, scores))
        else:
            everywhere = low, high
    for task in scores:
        if task not in ends:
            if everywhere is None:
                raise UserError(f"--normalize: the ends of {task} are missing, such as {task}=0,1")
            ends[task] = Ends(*(_end(end, task, scores) for end in everywhere))
    return ends, f"0 and 1 are {' '.join(asked)}, as asked; of a group its mean"


def _end(word: str, task: str, scores: Mapping[str, Mapping[str, Array]]) -> float:
    """A number, or the mean of a group in this environment."""
    if word in scores[task]:
        return float(scores[task][word].mean())
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(
            f"--normalize {word}: neither a number nor a group in {task}, which has {', '.join(scores[task])}"
        )
    return number


def _min_max(groups: Mapping[str, Array], lower_is_better: bool) -> Ends:
    every = np.concatenate(list(groups.values()))
    low, high = float(every.min()), float(every.max())
    return Ends(high, low) if lower_is_better else Ends(low, high)


def _checked(ends: dict[str, Ends], told: str) -> Scale:
    for task, (low, high) in ends.items():
        if low == high:
            raise UserError(f"--normalize: both ends of {task} are {low:g}, so that nothing lies between them")
    return Scale(ends, told)
