"""Small recordings for the tests of what learns from datasets."""

from __future__ import annotations

import numpy as np
import torch

from agents.acting.recording import record
from agents.policies.heads import Heads
from agents.policies.policy import Acting, Mode, NetworkPolicy
from envs.config import EnvConfig
from envs.episodes.episodes import Episodes
from envs.making import make_env
from envs.vectors.vector import Arrays


class RandomPolicy(NetworkPolicy):
    """Draws its actions evenly from any space that agents act in."""

    def __init__(self, env: EnvConfig) -> None:
        made = make_env(env)
        super().__init__(made.observation_space, made.action_space, None)
        self.heads = Heads(self.action_spaces)

    def acting(self, mode: Mode, rows: int) -> Acting:
        log_std = {key: value.detach().numpy() for key, value in self.heads.log_std.items()}

        def act(step: Arrays, state: Arrays, noise: Arrays) -> tuple[Arrays, Arrays]:
            params = self.heads.params(np.zeros((rows, self.heads.size), np.float32), None, log_std)
            return self.heads.uniform(params, noise), state

        return act

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays:
        return self.heads.noise(leading, rng)


def record_random(env: EnvConfig, episodes: int, seed: int = 1) -> tuple[Episodes, list[int]]:
    """Episodes of a policy that acts at random, and the seed of each."""
    return record(RandomPolicy(env), env, episodes, mode="random", seed=seed)
