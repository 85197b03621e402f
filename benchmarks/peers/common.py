"""What every peer's program does around its library: reading what is asked, and measuring the policy at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gymnasium as gym
import torch

from benchmarks.comparison.measurement import Clock
from benchmarks.comparison.settings import Settings

S = TypeVar("S", bound=Settings)
EVALUATION_SEED = 1_000_000


def main(run: Callable[[S, Path, Clock], float], settings_class: type[S]) -> None:
    """Carries out one run, which starts and stops the clock and returns the final return."""
    settings, folder, clock = settings_class.from_json(sys.argv[1]), Path(sys.argv[2]), Clock()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    clock.write(folder, final_return=run(settings, folder, clock))


def greedy_return(predict: Callable[[Any], Any], settings: Settings) -> float:
    """The mean undiscounted return of `predict`, from one observation to one action, on environments of its own."""
    env = gym.make(settings.env)
    total = 0.0
    for episode in range(settings.evaluation_episodes):
        obs, _ = env.reset(seed=EVALUATION_SEED + episode)
        done = False
        while not done:
            obs, reward, terminated, truncated, _ = env.step(predict(obs))
            total += float(reward)
            done = terminated or truncated
    env.close()  # type: ignore[no-untyped-call]
    return total / settings.evaluation_episodes
