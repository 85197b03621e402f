"""How strong a policy is in a game of two: against players that look ahead, against a league, against anybody at all.

Elo's ratings (1978) are those under which the results of the whole table are most probable, with one draw more between
any two; the random player is 0 for ever. So they do not drift, however often and by whom they are measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from agents.acting.evaluation import EvaluationConfig
from agents.acting.league import League, Member
from agents.policies.policy import Acting, Mode, NetworkPolicy, Policy
from agents.policies.saved import policy_of
from envs.config import EnvConfig
from envs.making import find_batched
from envs.tasks.lookahead import Choose, chosen_moves, worst_case
from envs.vectors.batched import Dynamics
from training import interruption
from training.core import Algorithm
from training.errors import require
from training.metrics import Last, Metrics
from training.run.forecast import Outlook
from training.seeding import derived_seed, generator

POINTS_PER_FACTOR_OF_TEN = 400.0
"""So much higher a rating, and one scores ten times as often as the other."""


@dataclass(frozen=True, kw_only=True)
class TournamentConfig(EvaluationConfig):
    """How often and against whom: as many games against each as there are `episodes`, both seats in turn."""

    lookahead_moves: tuple[int, ...] = (0, 2)
    """The opponents that know the rules: how many moves each of them looks ahead; 0 plays at random."""
    against_anybody: bool = False
    """Also try every answer to every move, which takes a small game."""
    rated_members: int = 8
    """The newest member of the league and others evenly back to the first are rated together with the policy."""
    pair_games: int = 32
    """Games of any two of these, with moves that are drawn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        moves = self.lookahead_moves
        require(
            0 in moves and min(moves) >= 0, "lookahead_moves", moves, "0, which the ratings stand on, and others above"
        )
        require(self.rated_members >= 0, "rated_members", self.rated_members, "at least 0")
        even = self.pair_games >= 2 and self.pair_games % 2 == 0
        require(even, "pair_games", self.pair_games, "an even number of games, half with each player first")
        for name in ("episodes", "final_episodes"):
            count = getattr(self, name)
            require(count % 2 == 0, name, count, "an even number of games, half with each player first")


class Tournament:
    """Measures policies of one game; the same policy and league have the same score."""

    score = "evaluation/return_mean"

    def __init__(self, env: EnvConfig, config: TournamentConfig, league: League, *, seed: int) -> None:
        found = find_batched(EnvConfig(env.id))  # from the empty board, however the training begins
        assert found is not None, "a game of two has batched rules"
        self._rules, self._config, self._league, self._seed = found[0], config, league, seed
        self.every = config.every

    @property
    def outlook(self) -> Outlook:
        final = self._config.final_episodes / self._config.episodes
        return Outlook(self.every, (final, final))

    def __call__(self, algorithm: Algorithm) -> Metrics:
        measured = self._measure(policy_of(algorithm.state_dict()), self._config.episodes, "selection")
        return {key: Last(value) for key, value in measured.items()}

    def final(self, policy: NetworkPolicy) -> dict[str, float]:
        """The longer measurement of a policy at the end of a run."""
        return self._measure(policy, self._config.final_episodes, "evaluation")

    def close(self) -> None:
        """There is nothing to end."""

    def _measure(self, policy: NetworkPolicy, games: int, purpose: str) -> dict[str, float]:
        config, rng = self._config, np.random.default_rng(derived_seed(self._seed, purpose))
        noise = generator(self._seed, purpose)
        own = player(self._rules, policy, "greedy" if config.greedy else "explore", noise)
        measured: dict[str, float] = {}
        returns = []
        for moves in config.lookahead_moves:
            told = f"lookahead_{moves}" if moves else "random"
            results = both_seats(self._rules, own, lookahead(self._rules, moves, rng), games)
            measured[f"evaluation/won_{told}"] = float((results > 0).mean())
            measured[f"evaluation/lost_{told}"] = float((results < 0).mean())
            returns.append(float(results.mean()))
        measured["evaluation/return_mean"] = float(np.mean(returns))
        if config.against_anybody:
            seats = [worst_case(self._rules, own, moves_first=first) for first in (True, False)]
            measured |= {"evaluation/worst_case_first": seats[0], "evaluation/worst_case_second": seats[1]}
            measured["evaluation/worst_case_return"] = min(seats)
        members = _spread(self._league.members, config.rated_members)
        rated = [player(self._rules, one, "explore", noise) for one in (*(member.policy for member in members), policy)]
        elo = ratings(self._table([lookahead(self._rules, 0, rng), *rated]))
        measured["evaluation/elo"] = float(elo[-1])
        if members:
            measured["evaluation/elo_over_members"] = float(elo[-1] - elo[1:-1].max())
        return measured

    def _table(self, players: Sequence[Choose]) -> NDArray[np.float64]:
        """The points of each player against each other one, [P, P]."""
        table = np.zeros((len(players), len(players)))
        for one, other in combinations(range(len(players)), 2):
            interruption.check()
            results = both_seats(self._rules, players[one], players[other], self._config.pair_games)
            table[one, other], table[other, one] = ((1 + results) / 2).sum(), ((1 - results) / 2).sum()
        return table


def player(rules: Dynamics, policy: Policy, mode: Mode, rng: torch.Generator) -> Choose:
    """A policy as a player of a game."""
    acting: dict[int, Acting] = {}

    def choose(state: NDArray[np.float64]) -> NDArray[np.int64]:
        assert rules.legal is not None, "a game tells its legal moves"
        rows = state.shape[1]
        if rows not in acting:
            acting[rows] = policy.acting(mode, rows)
        seen = {"obs": rules.observe(state), "action_mask": rules.legal(state)}
        noise = {} if mode == "greedy" else policy.noise((rows,), rng)
        moves: NDArray[np.int64] = acting[rows](seen, {}, noise)[0]["action"]
        return moves

    return choose


def lookahead(rules: Dynamics, depth: int, rng: np.random.Generator) -> Choose:
    """Who looks so many moves ahead, and draws among the best."""
    return lambda state: chosen_moves(rules, state, depth, rng)


def both_seats(rules: Dynamics, one: Choose, other: Choose, games: int) -> NDArray[np.float64]:
    """What `one` gets in so many games [games], half of which it begins: 1 won, 0 drawn, -1 lost."""
    return np.concatenate([play_games(rules, one, other, games // 2), -play_games(rules, other, one, games // 2)])


def play_games(rules: Dynamics, first: Choose, second: Choose, games: int) -> NDArray[np.float64]:
    """What the first player gets in games from the first position on, [games]."""
    state = np.repeat(rules.initial_state(np.random.default_rng(0))[:, None], games, axis=1)
    result, going, sign = np.zeros(games), np.arange(games), 1.0
    while len(going):
        state, reward, is_over = rules.transition(state, (first if sign > 0 else second)(state))
        result[going] = sign * reward
        state, going, sign = state[:, ~is_over], going[~is_over], -sign
    return result


def ratings(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Elo ratings [P] by the points [P, P] of each player against each other one; the first player's is 0.

    The most probable ones under Elo's curve, found by the iteration of Bradley and Terry's model (Hunter 2004, MM
    algorithms, equation 3). One more draw between any two keeps those who won or lost every game finite.
    """
    points = points + 0.5 * (1 - np.eye(len(points)))
    games, strength = points + points.T, np.ones(len(points))
    for _ in range(10_000):
        before = strength
        strength = points.sum(1) / (games / (strength[:, None] + strength)).sum(1)
        strength = strength / strength[0]
        if np.abs(np.log(strength / before)).max() < 1e-9:
            break
    rated: NDArray[np.float64] = POINTS_PER_FACTOR_OF_TEN * np.log10(strength)
    return rated


def _spread(members: Sequence[Member], most: int) -> list[Member]:
    """The newest and others evenly back to the first, `most` of them."""
    if len(members) <= most:
        return list(members)
    backwards = np.linspace(len(members) - 1, 0, most).round().astype(int)
    return [members[place] for place in reversed(backwards)]
