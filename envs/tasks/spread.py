"""Trading a spread that returns to its mean, with costs, and the best that can be done there, by backward induction.

A spread is the price of one asset less that of another, such as two shares of one company. Here it is the simplest
process that returns, the AR(1) of Vasicek's model at equal steps, so that the optimum is known: what real markets do is
another matter.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.jitted import JittedEnv

Floats = NDArray[np.float64]

RETURN, NOISE, COST, STEPS = 0.9, 1.0, 0.5, 200
"""The part of the spread that is left after a step, the deviation of what is added, the cost of trading one unit, and
the steps of an episode."""
DEVIATION = NOISE / np.sqrt(1 - RETURN**2)
"""Of the spread, in the long run."""
SPREAD, HELD, STEP, FIRST_NOISE = 0, 1, 2, 3
"""Where these are in the state; behind them is all that will be added in the episode, which nobody sees."""
GRID_DEVIATIONS, GRID_POINTS = 5.0, 401
"""How far and how finely the spread is divided to find the optimum."""


class SpreadTrading(JittedEnv):
    """Sees the spread in deviations and what is held; sells short, holds nothing, or buys one unit for the next step.

    The reward of an action h that is held from one step to the next is h (x' - x) - 0.5 |h - what was held|. An
    episode is 200 steps of trading, cut off and not ended.
    """

    observation_space: ClassVar[spaces.Box] = spaces.Box(-np.inf, np.inf, (2,), np.float32)  # type: ignore[misc]
    action_space = spaces.Discrete(3)
    max_episode_steps = STEPS

    @staticmethod
    def first_state(generator: np.random.Generator) -> Floats:
        """A spread drawn from the long run, nothing held, and the noise of the whole episode."""
        return np.concatenate([[DEVIATION * generator.normal(), 0.0, 0.0], NOISE * generator.normal(size=STEPS)])

    @staticmethod
    def advance(state: Floats, action: Any) -> tuple[float, bool]:
        """The action is what is held next, plus one."""
        held = action - 1.0
        # Beyond its limit an episode goes on with the noise that it began with.
        moved = RETURN * state[SPREAD] + state[FIRST_NOISE + int(state[STEP]) % STEPS]
        reward = held * (moved - state[SPREAD]) - COST * abs(held - state[HELD])
        state[SPREAD], state[HELD], state[STEP] = moved, held, state[STEP] + 1
        return reward, False

    @staticmethod
    def observe(state: Floats, obs: NDArray[np.float32]) -> None:
        obs[0], obs[1] = state[SPREAD] / DEVIATION, state[HELD]


class Optimum(NamedTuple):
    """The best that can be done by who knows the process and sees the step."""

    grid: Floats
    """The spreads [G]."""
    best: NDArray[np.int64]
    """The action [STEPS, 3, G] at each step, by what is held and the spread."""
    value: float
    """What it earns in an episode in the mean."""

    def act(self, step: int, spread: Floats, held: NDArray[Any]) -> NDArray[np.int64]:
        """The actions [N] at a step of spreads [N] and what is held [N], -1 to 1."""
        width = self.grid[1] - self.grid[0]
        nearest = np.clip(np.round((spread - self.grid[0]) / width), 0, len(self.grid) - 1).astype(np.int64)
        return np.asarray(self.best[step, held.astype(np.int64) + 1, nearest])


@cache
def optimum() -> Optimum:
    """By backward induction over the steps of an episode, on a grid of spreads.

    V_t(h, x) = max over h' of h' (E x' - x) - cost |h' - h| + E V_{t+1}(h', x'), with V = 0 after the last step.
    """
    from scipy.stats import norm

    grid = np.linspace(-GRID_DEVIATIONS * DEVIATION, GRID_DEVIATIONS * DEVIATION, GRID_POINTS)
    edges = np.concatenate([[-np.inf], (grid[1:] + grid[:-1]) / 2, [np.inf]])
    moves = np.diff(norm.cdf((edges[None] - RETURN * grid[:, None]) / NOISE), axis=1)
    gain = (RETURN - 1) * grid
    held = np.array([-1.0, 0.0, 1.0])
    value, best = np.zeros((3, GRID_POINTS)), np.zeros((STEPS, 3, GRID_POINTS), np.int64)
    for step in reversed(range(STEPS)):
        after = held[:, None] * gain + value @ moves.T  # [held next, spread]
        choices = after[None] - COST * np.abs(held[None, :, None] - held[:, None, None])  # [held, next, spread]
        best[step], value = choices.argmax(1), choices.max(1)
    start = np.diff(norm.cdf(edges / DEVIATION))
    return Optimum(grid, best, float(value[1] @ start))


def sign_rule(spread: Floats) -> NDArray[np.int64]:
    """The actions [N] that hold against the spread, whatever it costs."""
    return np.asarray(1 - np.sign(spread).astype(np.int64))


def threshold_rule(spread: Floats, held: NDArray[Any], enter: float, leave: float) -> NDArray[np.int64]:
    """Buys below -enter, sells above enter, and holds until the spread is beyond `leave` of the mean's other side."""
    keep = np.where(held > 0, spread < leave, (held < 0) & (spread > -leave))
    entered = np.where(spread < -enter, 1, np.where(spread > enter, -1, 0))
    return np.asarray(1 + np.where(entered != 0, entered, np.where(keep, held, 0))).astype(np.int64)
