"""Batched simple spread is mpe2's, to the bit, and what scripts reach in it is what was measured."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import make_vec
from envs.tasks.simple_spread import AGENTS, SIMPLE_SPREAD
from envs.vectors.batched import BatchedVectorEnv
from envs.vectors.vector import Step, of_matches
from tests.support.vectors import assert_same, play

SPREAD = "mpe2.simple_spread_v3:parallel_env"


@pytest.mark.parametrize("global_state", [False, True])
def test_the_batched_one_is_mpe2s(global_state: bool) -> None:
    runs = []
    for backend in ("batched", "in-process"):
        vec = make_vec(EnvConfig(SPREAD, backend=backend, global_state=global_state), 4, seed=3)  # type: ignore[arg-type]
        runs.append(play(vec, 60, np.random.default_rng(0)))
        vec.close()
    assert_same(runs[0], runs[1])


def test_collisions_are_among_what_is_compared() -> None:
    """All run to the middle, where they touch and push each other apart."""
    runs = []
    for backend in ("batched", "in-process"):
        vec = make_vec(EnvConfig(SPREAD, backend=backend), 3, seed=4)  # type: ignore[arg-type]
        step, rewards = vec.reset(), []
        for _ in range(50):
            place = step.obs["obs"][:, 2:4]
            step = vec.step(
                {"action": np.where(np.abs(place[:, 0]) > 0.1, 1 + (place[:, 0] < 0), 3 + (place[:, 1] < 0))}
            )
            rewards += [step.reward, step.obs["obs"].copy()]
        runs.append(rewards)
        vec.close()
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)
    assert min(rewards[0::2], key=lambda row: row.min()).min() < -1.5, "somebody was touched"


def towards(step: Step, assigned: np.ndarray) -> np.ndarray:
    """Actions [N] that lead each agent to the landmark it is assigned, [N], braking as the speed asks."""
    obs = step.obs["obs"]
    way = obs[:, 4:10].reshape(-1, 3, 2)[np.arange(len(obs)), assigned] - obs[:, 0:2] * 0.25
    axis = np.abs(way).argmax(1)
    along = way[np.arange(len(obs)), axis]
    return np.where(np.abs(along) < 0.03, 0, 1 + 2 * axis + (along > 0))


def team_return(assign: object, matches: int = 256) -> float:
    vec = BatchedVectorEnv(SIMPLE_SPREAD, matches, time_limit=25, seed=11, first_env=0)
    step, total = vec.reset(), np.zeros(matches)
    distance = np.linalg.norm(step.obs["obs"][:, 4:10].reshape(-1, 3, 2), axis=2)
    assigned = assign(distance)  # type: ignore[operator]
    for _ in range(25):
        step = vec.step({"action": towards(step, assigned)})
        total += of_matches(step, vec)[0]
    return float(total.mean())


def best_assignment(distance: np.ndarray) -> np.ndarray:
    """Of every match the assignment of landmarks to agents with the shortest way in all."""
    orders = np.array(list(permutations(range(AGENTS))))
    lengths = distance.reshape(-1, AGENTS, 3)[:, np.arange(AGENTS), orders].sum(2)
    return orders[lengths.argmin(1)].ravel()


def test_an_assignment_is_worth_what_the_claims_are_measured_by() -> None:
    assert team_return(best_assignment) == pytest.approx(-23.0, abs=0.7)
    assert team_return(lambda distance: distance.argmin(1)) == pytest.approx(-51.8, abs=2)
