"""Tree search in many positions at once: PUCT inside the tree, Gumbel's or AlphaZero's choice at its root.

A simulation walks from each root down to an action that was not tried before, asks `expand` what it leads to, and takes
what was found back up. The positions stand side by side in arrays [G, ...]; the nodes of each tree are numbered in the
order in which they were found, its root is 0.

Silver et al. 2017, "Mastering the game of Go without human knowledge", Methods, search algorithm; Danihelka et al.
2022, "Policy improvement by planning with Gumbel", https://openreview.net/forum?id=bERaNdoegnO.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.errors import require

Float: TypeAlias = "NDArray[np.float64]"


@dataclass(frozen=True)
class SearchConfig:
    """How far to look ahead, and how to choose."""

    simulations: int = 32
    """Positions that are looked at for each move."""
    root: Literal["gumbel", "puct"] = "gumbel"
    """gumbel: sequential halving among actions that are drawn without replacement; puct: AlphaZero's, with Dirichlet
    noise."""
    max_considered: int = 16
    """Actions among which a Gumbel root begins to halve."""
    value_scale: float = 0.1
    """c_scale of Gumbel's equation 8, for values from 0 to 1; c_visit is 50, as there. It was 1 in Go, where a large
    network knew values well, and 0.1 in Atari games."""
    exploration: float = 1.25
    """c_puct inside the tree, for values from -1 to 1."""
    dirichlet_alpha: float = 1.0
    """Of the noise at a PUCT root; about 10 over the number of legal moves."""
    dirichlet_fraction: float = 0.25
    """Of the prior there."""

    def __post_init__(self) -> None:
        require(self.simulations >= 1, "simulations", self.simulations, "at least 1")
        require(self.max_considered >= 2, "max_considered", self.max_considered, "at least 2 actions")
        for name in ("value_scale", "exploration", "dirichlet_alpha"):
            value = getattr(self, name)
            require(0 < value < math.inf, name, value, "a number above 0")
        fraction = self.dirichlet_fraction
        require(0 <= fraction <= 1, "dirichlet_fraction", fraction, "a number from 0 to 1")


class Positions(NamedTuple):
    """What a network says of G positions: logits [G, A], minus infinity for moves that are not allowed, and value [G]
    for who is to move."""

    state: Float
    """[S, G]."""
    logits: Float
    value: Float


class Reached(NamedTuple):
    """Where actions lead to: the positions, the reward of the action and whether the episode is over, both [G]."""

    positions: Positions
    reward: Float
    is_over: NDArray[np.bool_]


Expand: TypeAlias = "Callable[[Float, NDArray[np.int64]], Reached]"
"""State [S, G], action [G]. What it says of a position in which the episode is over is not looked at."""


class Found(NamedTuple):
    """What a search found for G positions."""

    action: NDArray[np.int64]
    """[G]."""
    policy: Float
    """[G, A] what is to be learned: an improvement of the network's policy."""
    value: Float
    """[G] the mean of what the action came to."""
    visits: NDArray[np.int64]
    """[G, A]."""


class Noise(NamedTuple):
    """What makes a search random, [G, A]: Gumbel noise to draw actions, and Dirichlet noise in a PUCT root's prior."""

    gumbel: Float
    dirichlet: Float | None = None


def search(
    root: Positions, expand: Expand, config: SearchConfig, *, alternates: bool, noise: Noise | None = None
) -> Found:
    """The search from G roots, none of which is over; without noise it takes what it holds for best.

    Where the players take turns (`alternates`), what is worth something in the next position counts against the move.
    """
    tree = _Tree(root, config, sign=-1.0 if alternates else 1.0)
    if config.root == "gumbel":
        gumbel = np.zeros_like(root.logits) if noise is None else noise.gumbel
        score = gumbel + root.logits
        allowed = np.isfinite(root.logits).sum(1)
        plan = _halving_plans(config.simulations, min(config.max_considered, root.logits.shape[1]))
        plan_of = plan[np.minimum(allowed, len(plan) - 1)]  # [G, simulations]
        for simulation in range(config.simulations):
            at = tree.visits[:, 0] == plan_of[:, simulation, None]
            tree.simulate(expand, np.where(at, score + tree.root_bonus(), -np.inf).argmax(1))
        most = tree.visits[:, 0].max(1, keepdims=True)
        action = np.where(tree.visits[:, 0] == most, score + tree.root_bonus(), -np.inf).argmax(1)
        policy = _softmax(root.logits + tree.root_bonus())
    else:
        if noise is not None and noise.dirichlet is not None:
            tree.mix_into_root(noise.dirichlet, config.dirichlet_fraction)
        for _ in range(config.simulations):
            tree.simulate(expand, None)
        policy = tree.visits[:, 0] / float(config.simulations)
        with np.errstate(divide="ignore"):  # an action is drawn in proportion to its visits: the Gumbel-max trick
            action = (np.log(policy) + (0.0 if noise is None else noise.gumbel)).argmax(1)
    games, visits = np.arange(len(action)), tree.visits[:, 0]
    return Found(action, policy, tree.total[games, 0, action] / visits[games, action], visits.copy())


class _Tree:
    """G trees of up to 1 + simulations nodes each."""

    def __init__(self, root: Positions, config: SearchConfig, *, sign: float) -> None:
        (games, actions), nodes = root.logits.shape, 1 + config.simulations
        self._config, self._sign, self._root = config, sign, root
        self._rows, self._nodes = np.arange(games), 1
        self._state = np.empty((nodes, *root.state.shape))
        self._prior = np.empty((games, nodes, actions))
        # Of each action in each node: how often it was taken, and the sum of what that came to.
        self.visits = np.zeros((games, nodes, actions), np.int64)
        self.total = np.zeros((games, nodes, actions))
        self._reward = np.zeros((games, nodes, actions))
        self._child = np.full((games, nodes, actions), _NEW)
        self._state[0], self._prior[:, 0] = root.state, _softmax(root.logits)

    def mix_into_root(self, noise: Float, fraction: float) -> None:
        self._prior[:, 0] = (1 - fraction) * self._prior[:, 0] + fraction * noise

    def root_bonus(self) -> Float:
        """Sigma of the completed values of the root's actions, [G, A] (Gumbel's equations 8 and 11, appendix D)."""
        visits, total, prior = self.visits[:, 0], self.total[:, 0], self._prior[:, 0]
        tried = visits > 0
        q = np.divide(total, visits, where=tried, out=np.zeros_like(total))
        known = np.where(tried, prior, 0.0).sum(1)
        weighted = np.where(tried, prior * q, 0.0).sum(1) / np.maximum(known, 1e-12)
        count = visits.sum(1)
        mixed = (self._root.value + count * weighted) / (1 + count)  # of the network and of what was found
        completed = np.where(tried, q, mixed[:, None])
        bonus: Float = (_VISIT_OFFSET + visits.max(1, keepdims=True)) * self._config.value_scale * (completed + 1) / 2
        return bonus

    def simulate(self, expand: Expand, root_action: NDArray[np.int64] | None) -> None:
        """One simulation in each tree, which begins with the action that is given [G] or chosen as inside the tree."""
        games, node = self._rows, np.zeros(len(self._rows), np.int64)
        path: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []
        last_node, last_action = node.copy(), node.copy()
        action = self._select(games, node) if root_action is None else root_action
        while True:
            path.append((games, node, action))
            last_node[games], last_action[games] = node, action
            child = self._child[games, node, action]
            inside = child >= 0
            if not inside.any():
                break
            games, node = games[inside], child[inside]
            action = self._select(games, node)
        value = self._expand(expand, last_node, last_action)
        for games, node, action in reversed(path):
            worth = self._reward[games, node, action] + self._sign * value[games]
            self.visits[games, node, action] += 1
            self.total[games, node, action] += worth
            value[games] = worth

    def _select(self, games: NDArray[np.int64], node: NDArray[np.int64]) -> NDArray[np.int64]:
        """The action [n] with the highest mean value and bonus (AlphaGo Zero, Methods, "select"); 0 for one that was
        not tried, as there."""
        visits, prior = self.visits[games, node], self._prior[games, node]
        value = self.total[games, node] / np.maximum(visits, 1)
        bonus = self._config.exploration * np.sqrt(visits.sum(1, keepdims=True) + 1e-8) * prior / (1 + visits)
        best: NDArray[np.int64] = np.where(prior > 0, value + bonus, -np.inf).argmax(1)
        return best

    def _expand(self, expand: Expand, node: NDArray[np.int64], action: NDArray[np.int64]) -> Float:
        """Makes the nodes that these actions [G] lead to; returns their value for who is to move there."""
        value = np.zeros(len(self._rows))
        (new,) = (self._child[self._rows, node, action] == _NEW).nonzero()
        if len(new):
            at = (new, node[new], action[new])
            positions, reward, is_over = expand(self._state[node[new], :, new].T, action[new])
            self._reward[at] = reward
            self._child[at] = np.where(is_over, _OVER, self._nodes)
            self._state[self._nodes][:, new] = positions.state
            with np.errstate(invalid="ignore"):  # where the episode is over nothing may be allowed
                self._prior[new, self._nodes] = _softmax(positions.logits)
            value[new] = np.where(is_over, 0.0, positions.value)
        self._nodes += 1
        return value


_NEW, _OVER = -1, -2
"""What stands for the child of an action that was not tried, and of one that ends the episode."""
_VISIT_OFFSET = 50.0


def _softmax(logits: Float) -> Float:
    raised = np.exp(logits - logits.max(1, keepdims=True))
    probability: Float = raised / raised.sum(1, keepdims=True)
    return probability


@cache
def _halving_plans(simulations: int, most: int) -> NDArray[np.int64]:
    """[most + 1, simulations]: of a root with so many actions to consider, how often one must have been tried to be
    tried in each simulation (sequential halving, Karnin et al. 2013; Gumbel's algorithm 2)."""
    plans = [_halving_plan(simulations, considered) for considered in range(most + 1)]
    return np.array(plans)


def _halving_plan(simulations: int, considered: int) -> list[int]:
    if considered <= 1:
        return list(range(simulations))
    plan: list[int] = []
    phases, tried, left = math.ceil(math.log2(considered)), [0] * considered, considered
    while len(plan) < simulations:
        for _ in range(max(1, simulations // (phases * left))):
            plan += tried[:left]
            tried[:left] = [times + 1 for times in tried[:left]]
        left = max(2, left // 2)
    return plan[:simulations]
