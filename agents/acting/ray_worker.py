"""The Ray actor that steps environments for a `RayCollector`, and what travels between the two."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import torch

from agents.acting.collector import Episode, Group, LocalCollector, make_group
from agents.policies.policy import Mode, NetworkPolicy
from agents.policies.saved import build_policy
from agents.updates.rollout_samples import acted_on
from envs.config import EnvConfig
from envs.vectors.vector import Arrays
from training.energy.processes import Spent, spent_here
from training.state import State


class Published(NamedTuple):
    """A version of a policy, as data."""

    description: State
    """What `build_policy` builds it from, without weights."""
    tensors: Arrays
    """Every parameter and buffer by its name."""
    has_kernels: bool


class Begun(NamedTuple):
    """What a worker answers once its environments have begun."""

    observation_space: gym.Space[Any]
    action_space: gym.Space[Any]
    inexact: list[str]


class RolloutWorker:
    """The Ray actor: holds neighbouring inference groups and steps them with the policy that it is sent."""

    def __init__(self, env: EnvConfig, group_size: int, seed: int, groups: range) -> None:
        torch.set_num_threads(1)
        self._env, self._group_size, self._seed, self._groups = env, group_size, seed, groups
        self._collector: LocalCollector | None = None
        self._life = 0
        self._policy: NetworkPolicy | None = None
        self._description: State = {}

    def begin(self, life: int, groups: list[State] | None) -> Begun:
        """Makes the environments of a life of its groups, or continues saved ones."""
        if self._collector is None or life != self._life:
            self.close()
            self._life = life
            self._collector = LocalCollector(self._make_group, len(self._groups))
        if groups is not None:
            self._collector.load_state_dict({"groups": groups})
        return Begun(self._collector.observation_space, self._collector.action_space, self._collector.inexact)

    def collect(
        self, published: Published, horizon: int, mode: Mode, *, with_log_prob: bool
    ) -> tuple[Arrays, list[Episode]]:
        """Its part of a rollout, [T, n], and the episodes that ended."""
        assert self._collector is not None, "collect before begin"
        policy: Any = self._take(published)
        self._collector.publish(policy, 0)
        batch, ended = self._collector.collect_episodes(horizon, mode)
        if with_log_prob:
            with torch.no_grad():  # the learner no longer has these weights
                batch["log_prob"] = policy.log_prob(acted_on(batch))
        return {key: value.numpy() for key, value in batch.items()}, ended

    def save(self) -> list[State]:
        """The states of its groups."""
        assert self._collector is not None, "save before begin"
        groups: list[State] = self._collector.state_dict()["groups"]
        return groups

    def spent(self) -> Spent:
        """What its process has used, for the energy of the run."""
        return spent_here()

    def close(self) -> None:
        if self._collector is not None:
            self._collector.close()

    def _make_group(self, place: int) -> Group:
        return make_group(self._env, self._group_size, seed=self._seed, index=self._groups[place], life=self._life)

    def _take(self, published: Published) -> NetworkPolicy:
        if self._policy is None or published.description != self._description:
            self._policy, self._description = build_policy(published.description), published.description
        self._policy.has_kernels = published.has_kernels
        with torch.no_grad():
            for name, tensor in named_tensors(self._policy).items():
                tensor.copy_(torch.from_numpy(published.tensors[name]))
        return self._policy


def named_tensors(policy: NetworkPolicy) -> dict[str, torch.Tensor]:
    """Everything that a policy acts with."""
    return {**dict(policy.named_parameters()), **dict(policy.named_buffers())}
