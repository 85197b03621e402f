"""Measuring a policy: on environments, seeds and random streams of its own, so that training never notices."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from agents.acting.collector import Episode
from agents.policies.policy import Mode, Policy
from agents.policies.saved import policy_of
from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors.final_info import FinalInfo, means_of
from envs.vectors.vector import Arrays, Step, VectorEnv, of_matches
from training import interruption, learners
from training.core import Algorithm, Every
from training.errors import require
from training.metrics import Last, Metrics
from training.run.console import Show
from training.run.forecast import Outlook
from training.seeding import derived_seed, generator

AUTO_TIMES = 10
"""`auto` lets an evaluation take so many times the env steps that the run trains for. No experiment here, whole as it
is, needs more; a short try does not play for hours at its end."""
SHOWN_EVERY_S = 0.25
AGREE_EVERY_STEPS = 64
"""Several learners ask each other so often whether one was told to end: asking takes longer than a step."""


@dataclass(frozen=True)
class EvaluationConfig:
    """How often, how long and how a policy is measured."""

    every: Every = Every(20_000, "env_steps")
    episodes: int = 20
    """Episodes of each evaluation during training."""
    final_episodes: int = 100
    """Episodes of the evaluation that ends a run, and of that of its best checkpoint."""
    num_envs: int = 10
    """Environments side by side, with as many episodes each, or one more: so short ones are not favoured."""
    greedy: bool = True
    """Take the most likely action; otherwise draw one, as in training."""
    max_episode_steps: int = 100_000
    """An episode without an end counts as it stands after so many env steps."""
    max_env_steps: int | Literal["auto"] = "auto"
    """Of one evaluation, over all environments: where they are spent, the episodes count that every environment has
    finished. auto: 10 times the env steps that the run trains for; no bound where it learns from data."""

    def __post_init__(self) -> None:
        require(self.max_episode_steps >= 1, "max_episode_steps", self.max_episode_steps, "at least 1")
        allowed = self.max_env_steps
        require(allowed == "auto" or allowed >= 1, "max_env_steps", allowed, "at least 1, or 'auto'")
        require(self.num_envs >= 1, "num_envs", self.num_envs, "at least 1")
        for name in ("episodes", "final_episodes"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")


class Evaluation:
    """Plays the same episodes each time, with a copy of the agent's policy as `load_policy` would give it.

    So a score depends on the agent's state and the seed and on nothing before, and training cannot notice. The episodes
    of evaluations during training, which choose the best checkpoint, are others than those that measure it at the end.

    Args:
        env: what is played.
        config: how often and how long.
        seed: of the episodes and the actions.
        trained_env_steps: how many the run trains for; None: it learns from data.
        trained_envs: in how many environments it acts.
        behaviour_return: the mean return of the data that a policy learns from, with which it is compared.
        show: is told now and then how far an evaluation is, in words and in [0, 1], and nothing at its end.
    """

    score = "evaluation/return_mean"

    def __init__(
        self,
        env: EnvConfig,
        config: EvaluationConfig,
        *,
        seed: int,
        trained_env_steps: int | None = None,
        trained_envs: int = 0,
        behaviour_return: float | None = None,
        show: Show | None = None,
    ) -> None:
        self.every = config.every
        self._env, self._config, self._seed, self._behaviour_return = env, config, seed, behaviour_return
        self._show, self._trained_envs = show, trained_envs
        auto = None if trained_env_steps is None else AUTO_TIMES * trained_env_steps
        self._max_env_steps = auto if config.max_env_steps == "auto" else config.max_env_steps
        self._vec: VectorEnv | None = None
        self._made: tuple[str, int] | None = None
        self._told = False

    @property
    def outlook(self) -> Outlook:
        """How much of it there will be.

        Before the first, a step of all its environments is taken to last as long as one of all those of the training,
        and episodes to be as long as they may be.
        """
        config, longest = self._config, self._env.longest_episode_steps
        steps = 0 if longest is None else config.episodes * min(longest, config.max_episode_steps)
        steps = steps if self._max_env_steps is None else min(steps, self._max_env_steps)
        final = config.final_episodes / config.episodes
        work = self._trained_envs * steps // min(config.num_envs, config.episodes)
        return Outlook(config.every, (final, final), work, "env_steps")

    def __call__(self, algorithm: Algorithm) -> Metrics:
        measured = self._measure(policy_of(algorithm.state_dict()), self._config.episodes, "selection")
        return {key: Last(value) for key, value in measured.items()}

    def final(self, policy: Policy) -> dict[str, float]:
        """The longer measurement of a policy at the end of a run."""
        return self.measure(policy, self._config.final_episodes)

    def measure(self, policy: Policy, episodes: int) -> dict[str, float]:
        """Mean, standard deviation, minimum and mean length over `episodes` episodes, and means of what their
        environment tells of each (envs/vectors/final_info.py), over those of which it does.

        `evaluation/episodes` is how many of them were played, `evaluation/episodes_left_out` is there where those are
        not all. Raises `interruption.Interrupted` when a signal asked the run to end.
        """
        return self._measure(policy, episodes, "evaluation")

    def _measure(self, policy: Policy, episodes: int, purpose: str) -> dict[str, float]:
        num_envs = self._fitting_envs(episodes)
        mode: Mode = "greedy" if self._config.greedy else "explore"
        played = play_episodes(
            self._environments(purpose, num_envs),
            policy,
            [episodes // num_envs + (index < episodes % num_envs) for index in range(num_envs)],
            mode=mode,
            rng=generator(self._seed, "evaluation actions"),
            max_episode_steps=self._config.max_episode_steps,
            max_env_steps=self._max_env_steps,
            longest=self._env.longest_episode_steps,
            show=self._show,
        )
        returns, lengths = _arrays(played)
        told = means_of(episode.info for episode in played)
        measured = {
            **{f"evaluation/{name}_mean": value for name, (value, _) in told.items()},
            "evaluation/return_mean": float(returns.mean()),
            "evaluation/return_std": float(returns.std()),
            "evaluation/return_min": float(returns.min()),
            "evaluation/length_mean": float(lengths.mean()),
            "evaluation/episodes": float(len(returns)),
        }
        if len(returns) < episodes:
            measured["evaluation/episodes_left_out"] = float(episodes - len(returns))
            self._tell_once(len(returns), episodes)
        if self._behaviour_return is not None:
            measured["evaluation/return_over_behaviour"] = measured["evaluation/return_mean"] - self._behaviour_return
        return measured

    def _fitting_envs(self, episodes: int) -> int:
        """How many environments play: no more than can finish an episode of the longest kind, if that is known."""
        wanted = min(self._config.num_envs, episodes)
        longest = self._env.longest_episode_steps
        if self._max_env_steps is None or longest is None:
            return wanted
        most = max(1, min(wanted, self._max_env_steps // min(longest, self._config.max_episode_steps)))
        return wanted if most == wanted else next(count for count in range(most, 0, -1) if episodes % count == 0)

    def _environments(self, purpose: str, num_envs: int) -> VectorEnv:
        """Those of one purpose at a time: environments may be large."""
        if self._vec is None or self._made != (purpose, num_envs):
            self.close()
            self._vec = make_vec(self._env, num_envs, seed=derived_seed(self._seed, purpose))
            self._made = purpose, num_envs
        return self._vec

    def _tell_once(self, played: int, episodes: int) -> None:
        if not self._told and learners.leads():
            self._told = True
            auto = f", {AUTO_TIMES} times the run's env_steps" if self._config.max_env_steps == "auto" else ""
            spent = f"its evaluation.max_env_steps of {self._max_env_steps:,}{auto}, were spent"
            print(f"evaluation: {played} of {episodes} episodes count: {spent}", file=sys.stderr)

    def close(self) -> None:
        if self._vec is not None:
            self._vec.close()
            self._vec = None


def play(
    vec: VectorEnv, policy: Policy, episodes_per_env: int, *, mode: Mode, rng: torch.Generator, **limits: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Returns and lengths, both [episodes], of what `play_episodes` plays with its `limits`."""
    return _arrays(
        play_episodes(vec, policy, [episodes_per_env] * (vec.num_envs // vec.num_agents), mode=mode, rng=rng, **limits)
    )


def _arrays(played: Sequence[Episode]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([episode.total_reward for episode in played]), np.array([episode.length for episode in played])


def play_episodes(
    vec: VectorEnv,
    policy: Policy,
    wanted: Sequence[int],
    *,
    mode: Mode,
    rng: torch.Generator,
    max_episode_steps: int = EvaluationConfig.max_episode_steps,
    max_env_steps: int | None = None,
    longest: int | None = None,
    show: Show | None = None,
    doing: str = "evaluating",
) -> list[Episode]:
    """The first episodes of every environment, of which `wanted` [N] says how many; a match of several agents is one.

    Where `max_env_steps` would be exceeded, fewer: as many of each environment as all have finished, so that short
    ones are not favoured; an environment that has finished none counts as it stands. `show` is told how far it is, by
    the episodes so far; before the first one by the `longest` that there may be.

    Raises `interruption.Interrupted` when a signal asked the run to end.
    """
    act = policy.acting(mode, vec.num_envs)
    step = vec.reset()
    state: Arrays = {}
    num_envs = vec.num_envs // vec.num_agents
    total, length = np.zeros(num_envs), np.zeros(num_envs, np.int64)
    finished, enough = np.zeros(num_envs, np.int64), np.array(wanted)
    ended: list[tuple[int, Episode]] = []  # which of its environment's episodes, and what it was
    steps, shown_at = 0, time.monotonic()
    while not (complete := (finished >= enough).all()):
        _end_if_asked(steps)
        if max_env_steps is not None and (steps + 1) * num_envs > max(max_env_steps, num_envs):
            break
        noise = {} if mode == "greedy" else policy.noise((vec.num_envs,), rng)
        action, state = act(_seen(step, vec.episode_steps == 0), state, noise)
        step = vec.step(policy.env_action(action))
        steps += 1
        reward, counts, has_ended = of_matches(step, vec)
        total += reward
        length += counts
        done = has_ended | (length >= max_episode_steps)
        (rows,) = (done & (finished < enough)).nonzero()
        ended += _numbered(finished, total, length, rows, step)
        finished[rows] += 1
        total[done], length[done] = 0.0, 0
        if show is not None and time.monotonic() - shown_at > SHOWN_EVERY_S:
            shown_at = time.monotonic()
            spent = steps * num_envs / max_env_steps if max_env_steps is not None else 0.0
            so_long = _episode_steps(ended, longest)
            played = None if so_long is None else max(spent, _fraction(finished, enough, length, so_long))
            show(f"{doing}: {len(ended)}/{enough.sum()} episodes, {steps * num_envs:,} env steps", played)
    if show is not None:
        show("")
    if complete:
        return [episode for _, episode in ended]
    (rows,) = (finished == 0).nonzero()
    ended += _numbered(finished, total, length, rows, None)
    return [episode for number, episode in ended if number < max(1, finished.min())]


def _episode_steps(ended: Sequence[tuple[int, Episode]], longest: int | None) -> float | None:
    """How long an episode is: the mean of those so far, before the first one the longest that there may be."""
    return max(1.0, sum(one.length for _, one in ended) / len(ended)) if ended else longest


def _fraction(finished: np.ndarray, wanted: np.ndarray, length: np.ndarray, episode_steps: float) -> float:
    """How much is played, where an episode has so many steps."""
    begun = np.minimum(length / episode_steps, 1.0)
    return float(np.minimum(finished + begun, wanted).sum() / wanted.sum())


def _numbered(
    finished: np.ndarray, total: np.ndarray, length: np.ndarray, rows: np.ndarray, step: Step | None
) -> Iterator[tuple[int, Episode]]:
    """The episodes of some rows, with their numbers; of what ended in `step` also what the environment tells."""
    told: dict[int, FinalInfo] = {}
    if step is not None and step.final_info:
        told = dict(zip((step.terminated | step.truncated).nonzero()[0].tolist(), step.final_info, strict=True))
    for row in rows.tolist():
        yield int(finished[row]), Episode(float(total[row]), int(length[row]), told.get(row))


def _end_if_asked(steps: int) -> None:
    """Raises `Interrupted` when a signal asked the run to end; several learners do so at the same step."""
    if learners.count() == 1:
        interruption.check()
    elif steps % AGREE_EVERY_STEPS == 0 and (asked := learners.largest(interruption.requested() or 0)):
        raise interruption.Interrupted(asked)


def _seen(step: Step, is_first: np.ndarray) -> Arrays:
    """What the policy sees, [N, ...]."""
    seen = {**step.obs, "is_first": is_first, "reward": step.reward}
    return seen if step.action_mask is None else {**seen, "action_mask": step.action_mask}
