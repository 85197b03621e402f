"""Simple spread as batched dynamics (envs/vectors/batched.py), bit for bit mpe2's simple_spread_v3: three agents are to
cover three landmarks and not to collide.

The operations and their order are mpe2's, so that they round alike.

Source: Lowe et al. 2017 (https://arxiv.org/abs/1706.02275, cooperative navigation), and mpe2 1.1: `_mpe_utils/core.py`
and `simple_spread/simple_spread.py` with their defaults.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.vectors.batched import Dynamics, Float

AGENTS, LANDMARKS = 3, 3
SIZE, STEP_S, DAMPING, MASS = 0.15, 0.1, 0.25, 1.0
PUSH, CONTACT_FORCE, CONTACT_MARGIN = 5.0, 1e2, 1e-3
LOCAL_RATIO = 0.5
"""The share of an agent's own collisions in its reward; the rest is what all of them get."""
MAX_EPISODE_STEPS = 25
OBS_SIZE = 2 + 2 + 2 * LANDMARKS + 2 * (AGENTS - 1) + 2 * (AGENTS - 1)
DIRECTIONS = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]], np.float64)
PLACES = 2 * (AGENTS + LANDMARKS)
OTHERS = np.array([[other for other in range(AGENTS) if other != agent] for agent in range(AGENTS)])


def initial_state(generator: np.random.Generator) -> Float:
    """State [18]: the positions of the agents and of the landmarks, then the speeds of the agents, x and y of each."""
    return np.concatenate([generator.uniform(-1, +1, PLACES), np.zeros(2 * AGENTS)])


def transition(state: Float, action: NDArray[Any]) -> tuple[Float, Float, NDArray[np.bool_]]:
    """One step of 0.1 s of N matches, with the actions [3 * N] of their agents: stand still, left, right, down, up."""
    place, speed = _places(state)
    agents = place[:AGENTS]
    force = np.ascontiguousarray((DIRECTIONS[action].reshape(-1, AGENTS, 2) * PUSH).transpose(1, 2, 0))
    _pushed(force, agents)
    moved = np.empty_like(state)
    agents = agents + speed * STEP_S
    moved[: 2 * AGENTS], moved[2 * AGENTS : PLACES] = agents.reshape(2 * AGENTS, -1), state[2 * AGENTS : PLACES]
    moved[PLACES:] = (speed * (1 - DAMPING) + force / MASS * STEP_S).reshape(2 * AGENTS, -1)
    return moved, _reward(agents, place[AGENTS:]), np.zeros(state.shape[1], np.bool_)


def observe(state: Float) -> NDArray[np.float32]:
    """What each agent sees, [3 * N, 18]: its speed and place, the landmarks and the others as seen from it, and four
    zeros for what the others say, which is nothing."""
    place, speed = _places(state)
    agents = place[:AGENTS]
    seen = np.zeros((state.shape[1], AGENTS, OBS_SIZE), np.float32)
    seen[..., 0:2] = speed.transpose(2, 0, 1)
    seen[..., 2:4] = agents.transpose(2, 0, 1)
    for agent in range(AGENTS):
        around = np.concatenate([place[AGENTS:], agents[OTHERS[agent]]]) - agents[agent]
        seen[:, agent, 4 : 4 + around.shape[0] * 2] = around.reshape(-1, state.shape[1]).T
    return seen.reshape(-1, OBS_SIZE)


def _places(state: Float) -> tuple[Float, Float]:
    """Of agents and landmarks [6, 2, N], and the speeds of the agents [3, 2, N]."""
    count = state.shape[1]
    return state[:PLACES].reshape(-1, 2, count), state[PLACES:].reshape(-1, 2, count)


def _pushed(force: Float, agents: Float) -> None:
    """Adds to the forces [3, 2, N] those with which the agents push each other apart, pair by pair as mpe2 does."""
    for one in range(AGENTS):
        for other in range(one + 1, AGENTS):
            apart = agents[one] - agents[other]
            distance = np.sqrt(np.square(apart).sum(0))
            overlap = np.logaddexp(0, -(distance - 2 * SIZE) / CONTACT_MARGIN) * CONTACT_MARGIN
            push = CONTACT_FORCE * apart / distance * overlap
            force[one] += push
            force[other] -= push


def _reward(agents: Float, landmarks: Float) -> Float:
    """Of each agent, [3 * N]: half of minus the distances of the landmarks to the agents that are nearest to them, and
    half of minus one for each agent that it touches."""
    apart = np.sqrt(np.square(agents[None] - landmarks[:, None]).sum(2))  # [landmarks, agents, N]
    shared = np.zeros(agents.shape[-1])
    for nearest in apart.min(1):
        shared -= nearest
    between = np.sqrt(np.square(agents[None] - agents[:, None]).sum(2))
    touched = (between < 2 * SIZE).sum(1) - 1.0  # itself is none
    rewards: Float = shared * (1 - LOCAL_RATIO) - touched * LOCAL_RATIO
    return rewards.T.ravel()


SIMPLE_SPREAD = Dynamics(
    observation_space=spaces.Box(-np.inf, np.inf, (OBS_SIZE,), np.float32),
    action_space=spaces.Discrete(len(DIRECTIONS)),
    initial_state=initial_state,
    transition=transition,
    observe=observe,
    num_agents=AGENTS,
    max_episode_steps=MAX_EPISODE_STEPS,
)
