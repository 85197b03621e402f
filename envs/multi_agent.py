"""A match of several agents as one Gymnasium environment: PettingZoo's parallel environments, joined.

What the agents see, get and may do is side by side in the observation of the match, so that seeds, workers, checks,
time limits and the restoring of episodes are those of any environment. `envs/vectors/agent_rows.py` then makes a row of
each agent. PettingZoo is the extra `multiagent`; an environment of one's own needs it as its base class only.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array
from numpy.typing import NDArray

from envs.masks import mask_array, mask_parts
from envs.returned import ContractError
from envs.spaces import SpaceError
from training.errors import UserError

MAKER = "parallel_env"
"""How a module of PettingZoo's names the function that makes its environment for all agents at once."""
OBSERVATION, MASK = "observation", "action_mask"
"""The parts of an observation in which PettingZoo's games hide the mask of the actions."""
REWARD_BITS = np.iinfo(np.int64)
"""Rewards are float64 and travel as their bits: of floats an observation holds float32."""


def is_parallel(made: Any) -> bool:
    """Whether this is a parallel environment of PettingZoo, or a class of them."""
    api = sys.modules.get("pettingzoo")  # where nothing has imported it, nothing is one
    if api is None:
        return False
    return issubclass(made, api.ParallelEnv) if inspect.isclass(made) else isinstance(made, api.ParallelEnv)


class MatchSpace(spaces.Dict):
    """What a match of K agents observes, as arrays [K, ...], with the spaces of one agent."""

    def __init__(self, num_agents: int, observation: gym.Space[Any], action: gym.Space[Any]) -> None:
        self.num_agents, self.agent_observation, self.agent_action = num_agents, observation, action
        flags = spaces.MultiBinary(num_agents)
        parts: dict[str, gym.Space[Any]] = {
            "seen": batch_space(observation, num_agents),
            "reward": spaces.Box(REWARD_BITS.min, REWARD_BITS.max, (num_agents,), np.int64),
            "terminated": flags,
            "truncated": flags,
            "acted": flags,
            "has_masks": spaces.Discrete(2),
        }
        actions = sum(mask_parts(action))
        if actions:
            parts["masks"] = spaces.MultiBinary((num_agents, actions))
        super().__init__(parts)


class Match(gym.Env[dict[str, Any], Any]):
    """All agents of one of PettingZoo's parallel environments.

    An agent whose part is over sees the last that it saw, gets nothing and does nothing until the match has ended,
    which is when the last one's part is over.

    Raises UserError for an environment without agents, or whose agents have not the same spaces.
    """

    def __init__(self, env: Any, name: str) -> None:
        self._env = env
        self._agents = list(_possible_agents(env, name))
        observation, action = (_one_space(env, self._agents, kind, name) for kind in ("observation", "action"))
        hidden = isinstance(observation, spaces.Dict) and set(observation) == {OBSERVATION, MASK}
        self._hides_masks = hidden
        if hidden:
            observation = cast(spaces.Dict, observation)[OBSERVATION]
        self._space = MatchSpace(len(self._agents), observation, action)
        self.observation_space = self._space
        self.action_space = batch_space(action, len(self._agents))
        self.metadata = {**gym.Env.metadata, **getattr(env, "metadata", {})}
        self.render_mode = getattr(env, "render_mode", None)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        observations, infos = self._env.reset(seed=seed, options=options)
        self._require_all(self._env.agents)
        self._playing = np.ones(len(self._agents), np.bool_)
        self._seen = [self._part(observations, agent, "observation") for agent in self._agents]
        self._infos = infos
        nothing = np.zeros(len(self._agents), np.int8)
        return self._joined(np.zeros(len(self._agents)), nothing, nothing, ~nothing.astype(np.bool_)), {}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        played = self._playing.copy()
        taken = {agent: _of_agent(action, row) for row, agent in enumerate(self._agents) if played[row]}
        observations, rewards, terminations, truncations, self._infos = self._env.step(taken)
        reward = np.zeros(len(self._agents))
        terminated, truncated = (np.zeros(len(self._agents), np.int8) for _ in range(2))
        for row in played.nonzero()[0]:
            agent = self._agents[row]
            self._seen[row] = self._part(observations, agent, "observation")
            reward[row] = self._part(rewards, agent, "reward")
            terminated[row] = self._part(terminations, agent, "termination")
            truncated[row] = self._part(truncations, agent, "truncation")
        self._playing = played & ~(terminated | truncated).astype(np.bool_)
        self._require_agreement()
        ended = not self._playing.any()
        is_terminal = ended and bool(terminated[played].any())
        seen = self._joined(reward, terminated, truncated, played)
        return seen, float(reward.sum()), is_terminal, ended and not is_terminal, {}

    def render(self) -> Any:
        return self._env.render()

    def close(self) -> None:
        self._env.close()

    def _joined(
        self, reward: NDArray[Any], terminated: NDArray[Any], truncated: NDArray[Any], acted: NDArray[Any]
    ) -> dict[str, Any]:
        of_agents, count = self._space.agent_observation, len(self._agents)
        seen = [seen[OBSERVATION] for seen in self._seen] if self._hides_masks else self._seen
        masks = [self._mask(row, agent) for row, agent in enumerate(self._agents)]
        joined = {
            "seen": concatenate(of_agents, seen, create_empty_array(of_agents, count)),
            "reward": reward.view(np.int64),
            "terminated": terminated,
            "truncated": truncated,
            "acted": acted.astype(np.int8),
            "has_masks": np.int64(any(mask is not None for mask in masks)),
        }
        if "masks" in self._space.spaces:
            actions = sum(mask_parts(self._space.agent_action))
            everything = np.ones(actions, np.int8)
            joined["masks"] = np.stack([everything if mask is None else mask for mask in masks])
        return joined

    def _mask(self, row: int, agent: Any) -> NDArray[np.int8] | None:
        """What the agent may do; None where that is not told. Where its part is over, nothing allowed counts as all."""
        given = self._seen[row][MASK] if self._hides_masks else dict(self._infos.get(agent, {})).get(MASK)
        if given is None:
            return None
        try:
            mask = mask_array(self._space.agent_action, given).astype(np.int8)
        except SpaceError as error:
            raise ContractError(f"{agent}: {error}") from error
        if not mask.any() and self._playing[row]:
            raise ContractError(
                f"{agent} is to act and its action mask allows nothing: it takes a legal move, or an end"
            )
        return mask if mask.any() else np.ones_like(mask)

    def _part(self, given: Mapping[Any, Any], agent: Any, what: str) -> Any:
        if agent not in given:
            raise ContractError(f"{agent} acted and got no {what}: PettingZoo's API asks for one of every agent")
        return given[agent]

    def _require_all(self, agents: list[Any]) -> None:
        missing = [agent for agent in self._agents if agent not in agents]
        if missing or len(agents) != len(self._agents):
            raise ContractError(
                f"a match begins with the agents {list(agents)}: it takes all possible_agents, {self._agents}"
            )

    def _require_agreement(self) -> None:
        """Whoever is in `agents` plays on, and nobody else does."""
        playing = [agent for row, agent in enumerate(self._agents) if self._playing[row]]
        listed = list(self._env.agents)
        for agent in playing:
            if agent not in listed:
                raise ContractError(f"{agent} left `agents` and was neither terminated nor truncated")
        for agent in listed:
            if agent not in playing:
                raise ContractError(f"{agent} is in `agents` though its part of the match is over")


def _possible_agents(env: Any, name: str) -> list[Any]:
    agents = getattr(env, "possible_agents", None)
    if not agents:
        raise UserError(f"env.id = {name!r}: its possible_agents are {agents}: it takes at least one agent")
    return list(agents)


def _one_space(env: Any, agents: list[Any], kind: str, name: str) -> gym.Space[Any]:
    """The space that all agents share."""
    space_of = getattr(env, f"{kind}_space")
    first: gym.Space[Any] = space_of(agents[0])
    for agent in agents[1:]:
        if space_of(agent) != first:
            what = f"{agent}'s {kind} space is {space_of(agent)} and {agents[0]}'s is {first}"
            raise UserError(
                f"env.id = {name!r}: {what}: one network takes agents with the same spaces; SuperSuit's "
                "pad_observations_v0 and pad_action_space_v0 make them equal"
            )
    return first


def _of_agent(action: Any, row: int) -> Any:
    """One agent's part of a joint action."""
    if isinstance(action, dict):
        return {key: _of_agent(part, row) for key, part in action.items()}
    if isinstance(action, tuple):
        return tuple(_of_agent(part, row) for part in action)
    return action[row]
