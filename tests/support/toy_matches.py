"""Small matches of several agents, by PettingZoo's parallel API: some of them break it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv


class Leaving(ParallelEnv):
    """Agent k of three sees the step, its index and a number drawn at the reset; its part ends after 2 + k steps, by
    truncation for the last and termination for the others. Each step gives agent k a reward of k + 1, and 10 more for
    action 1. The dicts of the steps are in another order than those of the reset."""

    metadata: ClassVar[dict[str, Any]] = {"name": "leaving"}

    def __init__(self, fault: str = "", *, masked: str = "", render_mode: str | None = None) -> None:
        self.possible_agents = [] if fault == "empty" else ["a", "b", "c"]
        self.fault, self.masked, self.render_mode = fault, masked, render_mode
        self.resets = 0

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        box = spaces.Box(-np.inf, np.inf, (4 if self.fault == "spaces" and agent == "b" else 3,), np.float32)
        if self.masked == "observation":
            return spaces.Dict({"observation": box, "action_mask": spaces.Box(0, 1, (2,), np.int8)})
        return box

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.resets += 1
        self.drawn = float(np.random.default_rng(seed).integers(1000))
        self.agents = (
            self.possible_agents[:2] if self.fault == "missing" and self.resets > 1 else list(self.possible_agents)
        )
        self.steps = 0
        return {agent: self._seen(agent) for agent in self.agents}, {agent: self._info(agent) for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        assert set(actions) == set(self.agents), "only those that play act"
        self.steps += 1
        acted = list(reversed(self.agents))
        number = {agent: self.possible_agents.index(agent) for agent in acted}
        over = {agent: self.steps == 2 + number[agent] for agent in acted}
        seen = {agent: self._seen(agent) for agent in acted}
        rewards = {agent: number[agent] + 1.0 + 10.0 * (int(actions[agent]) == 1) for agent in acted}
        terminated = {agent: over[agent] and agent != "c" for agent in acted}
        truncated = {agent: over[agent] and agent == "c" for agent in acted}
        infos = {agent: self._info(agent) for agent in acted}
        self.agents = [agent for agent in self.agents if not over[agent] or self.fault == "stays"]
        if self.fault == "vanishes":
            self.agents = self.agents[1:]
        if self.fault == "no reward":
            del rewards["b"]
        return seen, rewards, terminated, truncated, infos

    def _seen(self, agent: str) -> Any:
        seen = np.array([self.steps, self.possible_agents.index(agent), self.drawn], np.float32)
        if self.masked == "observation":
            return {"observation": seen, "action_mask": self._mask()}
        return seen

    def _info(self, agent: str) -> dict[str, Any]:
        return {"action_mask": self._mask()} if self.masked == "info" else {}

    def _mask(self) -> np.ndarray:
        if self.fault == "nothing allowed" and self.steps == 1:
            return np.zeros(2, np.int8)
        return np.array([1, self.steps % 2], np.int8)


class Endless(ParallelEnv):
    """Two agents, for whom nothing ends: what they see is 1, and each step gives each of them 1."""

    metadata: ClassVar[dict[str, Any]] = {"name": "endless"}
    possible_agents = ("a", "b")

    def __init__(self, limit: int = 100) -> None:
        self.limit = limit

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return spaces.Box(0, 1, (1,), np.float32)

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents, self.steps = list(self.possible_agents), 0
        return {agent: np.ones(1, np.float32) for agent in self.agents}, {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        self.steps += 1
        of_all = {
            "obs": np.ones(1, np.float32),
            "reward": 1.0,
            "terminated": False,
            "truncated": self.steps >= self.limit,
            "info": {},
        }
        returned = tuple(dict.fromkeys(self.agents, value) for value in of_all.values())
        if self.steps >= self.limit:
            self.agents = []
        return returned


def parallel_env(**kwargs: Any) -> Leaving:
    return Leaving(**kwargs)
