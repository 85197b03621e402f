"""Collectors of a few environments in this process."""

from __future__ import annotations

from agents.acting.collector import Group, LocalCollector
from envs.config import EnvConfig
from envs.making import make_vec


def make_collector(env: EnvConfig, num_envs: int = 3, groups: int = 1) -> LocalCollector:
    size = num_envs // groups
    return LocalCollector(
        lambda index: Group(make_vec(env, size, seed=3, first_env=index * size), seed=1, index=index), groups
    )
