"""A league: earlier versions of a policy, against which the newest one plays some of its games.

A policy that plays itself alone may go round in circles and forget how it beat the versions before; opponents that are
drawn by how hard they still are keep it from that (Vinyals et al. 2019, "Grandmaster level in StarCraft II",
prioritized fictitious self-play with the weight (1 - win rate)^2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.policies.policy import Acting, NetworkPolicy
from agents.policies.saved import build_policy
from envs.vectors.vector import Arrays, Step, VectorEnv
from training.errors import require
from training.seeding import generator
from training.state import Segment, State

ITSELF = -1
"""The number of the newest policy as an opponent; the members are 0, 1, ..."""
NEWEST_GAME = 0.02
"""The weight of a game in the win rate against a member: about the last fifty count, as the newest policy changes."""


@dataclass(frozen=True)
class LeagueConfig:
    """Against whom games are played."""

    self_play: float = 0.5
    """The share of games in which both sides are the newest policy."""
    every_updates: int = 50
    """So often it becomes a member."""
    hardness_exponent: float = 2.0
    """A member is drawn with the weight (1 - win rate) to this power; 0: all alike."""

    def __post_init__(self) -> None:
        require(0 <= self.self_play <= 1, "self_play", self.self_play, "a number from 0 to 1")
        require(self.every_updates >= 1, "every_updates", self.every_updates, "at least 1 update")
        exponent = self.hardness_exponent
        require(0 <= exponent < np.inf, "hardness_exponent", exponent, "a number of at least 0")


class Member:
    """A policy as it was at one update. Nothing of it is shared with the one that learns on."""

    def __init__(self, description: State, weights: Segment) -> None:
        self.weights = weights
        self.policy: NetworkPolicy = build_policy(description)
        self.policy.load_state_dict({key: torch.from_numpy(array) for key, array in weights.arrays.items()})
        self.policy.requires_grad_(requires_grad=False)


class League:
    """The members, and how well the newest policy does against each."""

    def __init__(self, config: LeagueConfig) -> None:
        self.config = config
        self.members: list[Member] = []
        self._win_rate: list[float] = []
        self._description: State = {}

    def admit(self, policy: NetworkPolicy, version: int) -> None:
        """Makes a member of the policy as it is now."""
        saved = policy.save()
        copied = {key: value.detach().cpu().numpy().copy() for key, value in saved.pop("weights").items()}
        self._description = saved
        self.members.append(Member(saved, Segment(f"member-{version}", copied)))
        self._win_rate.append(0.5)

    def draw(self, count: int, rng: torch.Generator) -> NDArray[np.int64]:
        """Opponents for so many games: numbers of members, or ITSELF."""
        drawn = np.full(count, ITSELF)
        uniform = torch.rand(count, 2, generator=rng).numpy()
        if not self.members:
            return drawn
        hardness = np.maximum(1 - np.array(self._win_rate), 1e-3) ** self.config.hardness_exponent
        chosen = (uniform[:, 1:] * hardness.sum() > hardness.cumsum()).sum(1)
        member: NDArray[np.int64] = np.where(uniform[:, 0] < self.config.self_play, drawn, chosen)
        return member

    def report(self, member: int, score: float) -> None:
        """What a game against a member brought: 1 won, 0.5 drawn, 0 lost."""
        self._win_rate[member] += NEWEST_GAME * (score - self._win_rate[member])

    def state_dict(self) -> State:
        weights = [member.weights for member in self.members]
        return {"policy": self._description, "members": weights, "win_rate": list(self._win_rate)}

    def load_state_dict(self, state: State) -> None:
        self._description = state["policy"]
        self.members = [Member(self._description, weights) for weights in state["members"]]
        self._win_rate = list(state["win_rate"])


class LeagueGames(VectorEnv):
    """Games of `vec` whose players move in turn, some of them against members of a league.

    There the member's moves take the place of those that are sent, and those rows are not `valid`. The newest policy is
    the first player in every other row, so that it learns both sides.
    """

    def __init__(self, vec: VectorEnv, league: League, *, seed: int, first_env: int) -> None:
        self._vec, self._league = vec, league
        self.num_envs = vec.num_envs
        self.observation_space, self.action_space = vec.observation_space, vec.action_space
        self.inexact: list[str] = []
        self._seat = (first_env + np.arange(self.num_envs)) % 2
        self._rng = generator(seed, "league", first_env)
        self._opponent = np.full(self.num_envs, ITSELF)
        self._acting: dict[int, Acting] = {}

    @property
    def episode_steps(self) -> NDArray[np.int64]:
        return self._vec.episode_steps

    def reset(self) -> Step:
        self._step = self._vec.reset()
        self._opponent = self._league.draw(self.num_envs, self._rng)
        return self._step

    def current(self) -> Step:
        return self._vec.current()

    def send(self, action: Arrays) -> None:
        self._is_members = (self._opponent != ITSELF) & (self._vec.episode_steps % 2 != self._seat)
        moves = action["action"].copy()
        for member in np.unique(self._opponent[self._is_members]).tolist():
            rows = np.flatnonzero(self._is_members & (self._opponent == member))
            moves[rows] = self._moves_of(member, rows)
        self._vec.send({"action": moves})

    def receive(self) -> Step:
        self._step = step = self._vec.receive()
        ended = step.terminated | step.truncated
        for row in np.flatnonzero(ended & (self._opponent != ITSELF)).tolist():
            gain = -step.reward[row] if self._is_members[row] else step.reward[row]
            self._league.report(int(self._opponent[row]), (1 + float(gain)) / 2)
        self._opponent[ended] = self._league.draw(int(ended.sum()), self._rng)
        return step._replace(valid=~self._is_members)

    def state_dict(self) -> State:
        return {"games": self._vec.state_dict(), "opponent": self._opponent.copy(), "rng": self._rng.get_state()}

    def load_state_dict(self, state: State) -> None:
        self._vec.load_state_dict(state["games"])
        self._opponent = state["opponent"].copy()
        self._rng.set_state(state["rng"])
        self._step = self._vec.current()
        self._acting = {}

    def close(self) -> None:
        self._vec.close()

    def _moves_of(self, member: int, rows: NDArray[np.intp]) -> NDArray[Any]:
        policy = self._league.members[member].policy
        if member not in self._acting:
            self._acting[member] = policy.acting("explore", self.num_envs)
        assert self._step.action_mask is not None, "a game of two tells its legal moves"
        seen = {"obs": self._step.obs["obs"][rows], "action_mask": self._step.action_mask[rows]}
        return self._acting[member](seen, {}, policy.noise((len(rows),), self._rng))[0]["action"]
