"""Which environment, and how it is stepped."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from training.errors import UserError, require
from training.extras import INSTALL

BackendName = Literal["auto", "batched", "in-process", "subprocess", "vector-entry-point", "envpool"]

NEEDS_FRESH_INSTANCE = frozenset({"BipedalWalker-v3", "BipedalWalkerHardcore-v3"})
"""Environments whose episodes depend on what their instance lived through before, whatever the seed: Box2D keeps the
order of contacts of earlier episodes."""


@dataclass(frozen=True)
class EnvConfig:
    """One environment and how it is made.

    Raises UserError where a value is impossible or the id is unknown to Gymnasium; EnvPool's ids are checked where the
    environment is made.
    """

    id: str
    """Any id registered with Gymnasium; `package.module:Env-v0` imports the module first. With the backend envpool: any
    id of EnvPool's."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """Given to the environment's constructor."""
    backend: BackendName = "auto"
    """How copies are stepped; auto: batched where there is one, otherwise in-process. All give the same data but for
    two, whose episodes start anew when a run is resumed: vector-entry-point, the environment's own vector class, and
    envpool, EnvPool's environment of this id."""
    time_limit: int | None = None
    """Env steps after which an episode is truncated; None: the environment's own limit."""
    observation_indices: tuple[int, ...] | None = None
    """Which entries of an observation vector the agent sees, such as positions without velocities; None: all."""
    frame_stack: int = 1
    """How many of the newest observations the agent sees, stacked along a new first axis; 1: no such axis."""
    fresh_instance: bool | None = None
    """A new instance of the environment for every episode; None: where that is known to be needed."""
    step_timeout_s: float = 60.0
    """Subprocess backend: the environment hangs when one step or reset takes longer."""

    def __post_init__(self) -> None:
        require(self.time_limit is None or self.time_limit >= 1, "time_limit", self.time_limit, "at least 1")
        indices = self.observation_indices
        distinct = indices is None or (len(set(indices)) == len(indices) > 0 and min(indices) >= 0)
        require(distinct, "observation_indices", indices, "different integers of at least 0, at least one of them")
        require(self.frame_stack >= 1, "frame_stack", self.frame_stack, "at least 1")
        require(self.step_timeout_s > 0, "step_timeout_s", self.step_timeout_s, "more than 0 seconds")
        if self.backend != "envpool":
            self.spec  # noqa: B018 - it raises for an unknown id

    @cached_property
    def spec(self) -> EnvSpec:
        """What Gymnasium knows of the environment."""
        return find_spec(self.id)

    def __getstate__(self) -> dict[str, Any]:
        # Without the spec: another process finds it anew, which imports the environment's module there.
        return {part.name: getattr(self, part.name) for part in fields(self)}

    @property
    def has_reset_transitions(self) -> bool:
        """Whether a step after an episode's end is the reset of the next one (envs/vectors/next_step.py)."""
        return self.backend in ("vector-entry-point", "envpool")

    @property
    def longest_episode_steps(self) -> int | None:
        """The time limit in env steps, this config's or that of the registration; None where neither has one."""
        if self.time_limit is not None or self.backend == "envpool":
            return self.time_limit
        return self.spec.max_episode_steps

    @property
    def needs_fresh_instance(self) -> bool:
        if self.fresh_instance is None:
            return self.spec.id in NEEDS_FRESH_INSTANCE
        return self.fresh_instance


def find_spec(env_id: str) -> EnvSpec:
    """What Gymnasium knows of an id; raises UserError for an unknown one, with the nearest registered name."""
    module, _, name = env_id.rpartition(":")
    if name.startswith("ALE/"):
        module = module or "ale_py"
    require(not module.startswith("."), "id", env_id, "a module's whole name before the colon")
    if module:
        _import_module(module, env_id)
    spec = gym.registry.get(name)
    if spec is None:
        hint = nearest_hint(name, gym.registry)
        raise UserError(f"id = {env_id!r}: no environment is registered under this name{hint}", key="id")
    return spec


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """The end of a complaint about an unknown environment: the known name that was perhaps meant, if there is one."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; the nearest name is {close[0]!r}" if close else ""


def _import_module(module: str, env_id: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError as error:
        command = f"; install it: {INSTALL} ale-py" if module == "ale_py" else ""
        raise UserError(f"id = {env_id!r}: cannot import {module!r} ({error}){command}", key="id") from error
