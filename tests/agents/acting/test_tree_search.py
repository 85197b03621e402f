"""Tree search: equal to minimax where it can look to the end, deaf to what cannot count, each position on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.acting.tree_search import Noise, Positions, Reached, SearchConfig, _halving_plan, search
from envs.tasks.board_games import CONNECT_FOUR, TIC_TAC_TOE, game
from envs.tasks.lookahead import move_values
from envs.vectors.batched import Dynamics
from training.errors import UserError

RULES = game(TIC_TAC_TOE)
ROOTS: list[Any] = ["gumbel", "puct"]


def guess(state: NDArray[Any]) -> NDArray[Any]:
    """A value from the state alone, in no relation to the game."""
    return np.asarray(np.sin(state[0] * 12.9898 + state[1] * 78.233))


def looked_at(rules: Dynamics, state: NDArray[Any], value: Callable[[NDArray[Any]], NDArray[Any]]) -> Positions:
    assert rules.legal is not None
    return Positions(state, np.where(rules.legal(state), 0.0, -np.inf), value(state))


def expand_by(
    rules: Dynamics, value: Callable[[NDArray[Any]], NDArray[Any]]
) -> Callable[[NDArray[Any], NDArray[Any]], Reached]:
    def expand(state: NDArray[Any], action: NDArray[Any]) -> Reached:
        after, reward, is_over = rules.transition(state, action)
        return Reached(looked_at(rules, after, value), reward, is_over)

    return expand


def positions(rules: Dynamics, moves: int, count: int, seed: int = 0) -> NDArray[Any]:
    """Different positions after so many random moves, in which nobody has won."""
    assert rules.legal is not None
    rng, found = np.random.default_rng(seed), set()
    while len(found) < count:
        state, is_over = rules.initial_state(rng)[:, None], np.array([False])
        for _ in range(moves):
            if not is_over[0]:
                state, _, is_over = rules.transition(state, rng.choice(np.flatnonzero(rules.legal(state)[0]), 1))
        if not is_over[0]:
            found.add((state[0, 0], state[1, 0]))
    return np.array(sorted(found)).T


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("moves", [4, 5, 6])
def test_where_it_can_look_to_the_end_it_moves_as_minimax_does(root: Any, moves: int) -> None:
    state = positions(RULES, moves, 30)
    found = search(
        looked_at(RULES, state, guess), expand_by(RULES, guess), SearchConfig(600, root=root), alternates=True
    )
    best = move_values(RULES, state, 9)
    chosen = best[np.arange(30), found.action]
    assert (chosen == best.max(1)).mean() > 0.95
    decided = best.max(1) != 0
    assert (np.sign(found.value[decided]) == best.max(1)[decided]).mean() > 0.9


@pytest.mark.parametrize("root", ROOTS)
def test_it_takes_a_win_and_stops_one_with_few_simulations(root: Any) -> None:
    rules = game(CONNECT_FOUR)
    state = rules.initial_state(np.random.default_rng(0))[:, None]
    for move in (3, 0, 3, 0, 3):  # x has three in the middle column, and o is to move
        state, _, _ = rules.transition(state, np.array([move]))
    forced = np.concatenate([state, rules.transition(state, np.array([1]))[0]], axis=1)
    nothing = expand_by(rules, lambda state: np.zeros(state.shape[1]))
    asked = looked_at(rules, forced, lambda state: np.zeros(state.shape[1]))
    found = search(asked, nothing, SearchConfig(128, root=root), alternates=True)
    assert found.action.tolist() == [3, 3]
    assert found.value[1] > 0.5
    assert abs(found.value[0]) < 0.2


@pytest.mark.parametrize("root", ROOTS)
def test_what_a_network_says_of_a_finished_game_and_of_forbidden_moves_does_not_count(root: Any) -> None:
    state, config = positions(RULES, 5, 20), SearchConfig(80, root=root)
    allowed = RULES.legal(state)  # type: ignore[misc]
    plain = search(looked_at(RULES, state, guess), expand_by(RULES, guess), config, alternates=True)

    def lies(state: NDArray[Any], action: NDArray[Any]) -> Reached:
        reached = expand_by(RULES, guess)(state, action)
        told = np.where(reached.is_over, 1e6, reached.positions.value)
        return reached._replace(positions=reached.positions._replace(value=told))

    lied = search(looked_at(RULES, state, guess), lies, config, alternates=True)
    for one, other in zip(plain, lied, strict=True):
        assert np.array_equal(one, other)
    assert not plain.visits[~allowed].any()
    assert not plain.policy[~allowed].any()
    assert plain.policy.sum(1) == pytest.approx(1.0)
    assert plain.visits.sum(1).tolist() == [80] * 20


@pytest.mark.parametrize("root", ROOTS)
def test_each_position_is_searched_as_if_it_were_alone(root: Any) -> None:
    state, config = positions(RULES, 3, 12), SearchConfig(40, root=root)
    rng = np.random.default_rng(1)
    noise = Noise(rng.gumbel(size=(12, 9)), rng.dirichlet(np.ones(9), 12))
    expand = expand_by(RULES, guess)
    together = search(looked_at(RULES, state, guess), expand, config, alternates=True, noise=noise)
    for row in range(12):
        one = slice(row, row + 1)
        own = Noise(noise.gumbel[one], None if noise.dirichlet is None else noise.dirichlet[one])
        alone = search(looked_at(RULES, state[:, one], guess), expand, config, alternates=True, noise=own)
        for of_all, of_one in zip(together, alone, strict=True):
            assert np.array_equal(of_all[one], of_one)


def test_a_gumbel_root_is_the_policy_where_all_values_are_equal() -> None:
    """Drawn by Gumbel noise; and its improved policy is then the network's own (Danihelka et al. 2022, section 3)."""
    state = np.zeros((2, 4_000))
    logits = np.tile(np.log(np.arange(1.0, 10.0)), (4_000, 1))

    def expand(state: NDArray[Any], action: NDArray[Any]) -> Reached:
        return Reached(Positions(state, logits[: len(action)], np.zeros(len(action))), *np.zeros((2, len(action))))

    noise = Noise(np.random.default_rng(2).gumbel(size=logits.shape))
    root = Positions(state, logits, np.zeros(4_000))
    found = search(root, expand, SearchConfig(1), alternates=True, noise=noise)
    expected = np.arange(1.0, 10.0) / 45
    assert found.policy == pytest.approx(np.tile(expected, (4_000, 1)))
    assert np.bincount(found.action, minlength=9) / 4_000 == pytest.approx(expected, abs=0.02)


def test_without_turns_rewards_add_up_along_the_way() -> None:
    """A walk to the right that pays at each step, more at the third: the mean of what came is what the root is told."""

    def expand(state: NDArray[Any], action: NDArray[Any]) -> Reached:
        after = state + action
        reward = np.where(action == 1, np.where(after[0] == 3, 0.5, 0.1), 0.0)
        known = Positions(after, np.zeros((len(action), 2)), np.zeros(len(action)))
        return Reached(known, reward, after[0] >= 3)

    root = Positions(np.zeros((1, 1)), np.zeros((1, 2)), np.zeros(1))
    found = search(root, expand, SearchConfig(400, root="puct"), alternates=False)
    assert found.action.tolist() == [1]
    assert 0.5 < found.value[0] <= 0.7


def test_a_halving_plan_gives_each_phase_its_share() -> None:
    assert _halving_plan(16, 4) == [0] * 4 + [1] * 4 + [2, 2, 3, 3, 4, 4, 5, 5]
    assert _halving_plan(6, 4) == [0, 0, 0, 0, 1, 1]
    assert _halving_plan(3, 1) == [0, 1, 2]


@pytest.mark.parametrize("wrong", [{"simulations": 0}, {"max_considered": 1}, {"exploration": 0.0}])
def test_impossible_numbers_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        SearchConfig(**wrong)
