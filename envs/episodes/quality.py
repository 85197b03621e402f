"""The report on a dataset of episodes: returns, lengths, what of states and actions is covered, how episodes end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from gymnasium import spaces

from envs.episodes.episodes import Episodes
from training.data.quality.finding import DataReport, Finding

SATURATED = 0.5
"""Of the actions at a bound: then a policy that switches between bounds is what there is to learn."""
AT_BOUND = 0.999
BINS = 10
FEW_EPISODES = 20
UNUSED = 0.01
"""An action that so few of the steps take."""


def examine_episodes(episodes: Episodes, source: str) -> DataReport:
    """Looks at all steps."""
    returns, lengths = episodes.returns, episodes.lengths
    told = (
        f"{len(episodes):,} episodes, {episodes.steps:,} steps; returns {returns.min():.4g} to {returns.max():.4g}, "
        f"mean {returns.mean():.4g}; lengths {lengths.min()} to {lengths.max()}, mean {lengths.mean():.1f}"
    )
    found = [*_numbers(episodes), *_rewards(episodes), *_ends(episodes), *_repeated(episodes), *_actions(episodes)]
    return DataReport(source, told, [*found, *_coverage(episodes)])


def _numbers(episodes: Episodes) -> Iterator[Finding]:
    arrays = {**episodes.obs, **episodes.action, "reward": episodes.reward}
    for name, values in arrays.items():
        if np.issubdtype(values.dtype, np.floating):
            bad = ~np.isfinite(values.reshape(len(values), -1)).all(1)
            if bad.any():
                said = f"{int(bad.sum()):,} rows are not finite"
                yield Finding(
                    "missing", name, said, float(bad.mean()), np.flatnonzero(bad).tolist(), "record them anew"
                )


def _rewards(episodes: Episodes) -> Iterator[Finding]:
    if episodes.steps > 1 and float(episodes.reward.min()) == float(episodes.reward.max()):
        alike = int(episodes.lengths.min()) == int(episodes.lengths.max())
        said = f"every step has the reward {episodes.reward[0]:g}"
        said += " and every episode the same length: nothing tells a good one from a bad one" if alike else ""
        yield Finding("constant", "reward", said, 1.0, level="wrong" if alike else "note")


def _ends(episodes: Episodes) -> Iterator[Finding]:
    """Ends that cannot be: on the way, or none; and a time limit that was written down as the end of the task."""
    last = np.zeros(episodes.steps, np.bool_)
    last[episodes.starts + episodes.lengths - 1] = True
    ended = episodes.terminated | episodes.truncated
    inside, open_ = np.flatnonzero(ended & ~last), np.flatnonzero(last & ~ended)
    if len(inside):
        said = f"{len(inside):,} steps inside an episode are marked as its end"
        yield Finding("terminations", "terminated", said, len(inside) / episodes.steps, inside.tolist(), "cut there")
    if len(open_):
        said = f"{len(open_):,} episodes end without terminated or truncated"
        yield Finding("terminations", "truncated", said, len(open_) / len(episodes), open_.tolist(), "mark a cut")
    limit, count = int(episodes.lengths.max()), len(episodes)
    at_limit = episodes.lengths == limit
    terminated = episodes.terminated[episodes.starts + episodes.lengths - 1]
    if count >= FEW_EPISODES and at_limit.sum() >= count / 2 and terminated[at_limit].all():
        said = f"{int(at_limit.sum()):,} of {count:,} episodes terminate at step {limit}: it looks like a time limit"
        change = "mark them as truncated: what comes after the limit has a value"
        yield Finding("terminations", "terminated", said, float(at_limit.mean()), (), change)


def _repeated(episodes: Episodes) -> Iterator[Finding]:
    """Episodes that are there twice."""
    seen: dict[bytes, int] = {}
    twice = []
    for index, (start, length) in enumerate(zip(episodes.starts, episodes.lengths, strict=True)):
        actions = b"".join(values[start : start + length].tobytes() for _, values in sorted(episodes.action.items()))
        first = start + index
        states = b"".join(values[first : first + length + 1].tobytes() for _, values in sorted(episodes.obs.items()))
        if seen.setdefault(actions + states, index) != index:
            twice.append(index)
    if twice:
        said = f"{len(twice):,} episodes are there twice"
        yield Finding("duplicates", "episodes", said, len(twice) / len(episodes), twice, "keep one of each")


def _actions(episodes: Episodes) -> Iterator[Finding]:
    space = episodes.action_space
    if isinstance(space, spaces.Discrete):
        counts = np.bincount(episodes.action["action"].astype(np.int64) - int(space.start), minlength=int(space.n))
        for action in np.flatnonzero(counts < UNUSED * counts.sum()):
            said = f"{counts[action]:,} of {counts.sum():,} steps take it"
            yield Finding("coverage", f"action {action + int(space.start)}", said, float(counts[action] / counts.sum()))
    elif isinstance(space, spaces.Box) and space.is_bounded():
        actions = episodes.action["action"].reshape(episodes.steps, -1)
        low, high = space.low.reshape(-1), space.high.reshape(-1)
        scaled = 2 * (actions - low) / (high - low) - 1
        for place, column in enumerate(scaled.T):
            share = float((np.abs(column) >= AT_BOUND).mean())
            if share > SATURATED:
                said = f"{100 * share:.0f} % of the actions are at a bound"
                change = "a smaller action scale, or a penalty on large actions, where they were recorded"
                yield Finding("saturated actions", f"action {place}", said, share, (), change)
            elif float(column.std()) < 1e-6:
                said = "it is always the same"
                yield Finding("coverage", f"action {place}", said, 1.0, (), "record with noise on the actions")


def _coverage(episodes: Episodes) -> Iterator[Finding]:
    """Which part of each observed range is visited, and observations that never change."""
    for name, values in episodes.obs.items():
        table = values.reshape(len(values), -1)
        if values.dtype == np.uint8 or not np.issubdtype(values.dtype, np.floating):
            continue
        for place, column in enumerate(table.T):
            where = f"{name} {place}"
            if not np.isfinite(column).all():
                continue
            if float(column.min()) == float(column.max()):
                yield Finding("constant", where, f"it is always {column[0]:g}", 1.0, level="note")
                continue
            visited = np.histogram(column, BINS)[0] > 0
            if visited.mean() < 0.5:
                said = f"{int((~visited).sum())} of {BINS} parts of its range are never visited"
                yield Finding("coverage", where, said, float(1 - visited.mean()), level="note")
