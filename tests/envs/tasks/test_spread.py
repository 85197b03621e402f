"""The spread: its rewards by hand, backends that agree, and an optimum that nobody beats."""

from __future__ import annotations

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import make_vec
from envs.tasks.spread import COST, DEVIATION, RETURN, STEPS, SpreadTrading, optimum, sign_rule, threshold_rule
from tests.support.vectors import assert_same, play
from training.data.quality.report import examine
from training.experiments import load_experiment

SPREAD = "envs.tasks.spread:SpreadTrading"


def test_rewards_are_moves_less_costs() -> None:
    env = SpreadTrading()
    obs, _ = env.reset(seed=1)
    before, noise = env.state[0], env.state[3:].copy()
    assert obs == pytest.approx([before / DEVIATION, 0])
    seen, reward, ended, _, _ = env.step(0)  # sells one unit short
    moved = RETURN * before + noise[0]
    assert (reward, ended) == (pytest.approx(-(moved - before) - COST), False)
    assert seen == pytest.approx([moved / DEVIATION, -1])
    _, reward, *_ = env.step(2)  # buys two
    assert reward == pytest.approx(RETURN * moved + noise[1] - moved - 2 * COST)
    _, reward, *_ = env.step(1)
    assert reward == pytest.approx(-COST)


def test_the_batched_one_is_the_single_one() -> None:
    runs = []
    for backend in ("auto", "in-process"):
        vec = make_vec(EnvConfig(SPREAD, backend=backend), 3, seed=3)  # type: ignore[arg-type]
        runs.append(play(vec, STEPS + 20, np.random.default_rng(0)))
        vec.close()
    assert_same(runs[0], runs[1])


def earned(act: object, episodes: int = 1_000) -> np.ndarray:
    vec = make_vec(EnvConfig(SPREAD), episodes, seed=7)
    obs, total = vec.reset().obs["obs"], np.zeros(episodes)
    for step in range(STEPS):
        after = vec.step({"action": act(step, obs[:, 0].astype(float), obs[:, 1])})  # type: ignore[operator]
        obs, total = after.obs["obs"], total + after.reward
    assert after.truncated.all()
    assert not after.terminated.any()
    return total


def test_the_optimum_earns_what_it_says_and_more_than_the_rules() -> None:
    best = optimum()
    found = earned(lambda step, spread, held: best.act(step, spread * DEVIATION, held))
    error = found.std() / np.sqrt(len(found))
    assert found.mean() == pytest.approx(best.value, abs=4 * error + 0.1)
    for enter in (0.3, 0.6, 0.9):
        other = earned(lambda _, spread, held, enter=enter: threshold_rule(spread, held, enter, 0.0))
        assert (found - other).mean() > 0
    assert (found - earned(lambda _, spread, held: sign_rule(spread))).mean() > 10


def test_the_rules_do_what_they_say() -> None:
    assert list(sign_rule(np.array([-1.0, 0.0, 2.0]))) == [2, 1, 0]
    spread, held = np.array([-1.0, -0.2, 0.2, 1.0, 0.2]), np.array([0, 1, 1, 1, 0])
    assert list(threshold_rule(spread, held, 0.5, 0.0)) == [2, 2, 1, 0, 1]


def test_an_agent_that_sees_tomorrow_is_found() -> None:
    """The data report reads the noise that is to come, where it was put among what is seen."""
    experiment = load_experiment("spread_trading", "experiments")
    config = experiment.Config()
    assert "target leak" not in {one.kind for one in examine(experiment.data(config)).findings}
    leaking = experiment.Config(env=EnvConfig("tests.envs.tasks.test_spread:SeesTomorrow"))
    (found,) = (one for one in examine(experiment.data(leaking)).wrong if one.kind == "target leak")
    assert found.where == "seen 2"


class SeesTomorrow(SpreadTrading):
    """With the move of the next step among what is seen."""

    observation_space = type(SpreadTrading.observation_space)(-np.inf, np.inf, (3,), np.float32)

    @staticmethod
    def observe(state: np.ndarray, obs: np.ndarray) -> None:
        obs[0], obs[1] = state[0], state[1]
        obs[2] = 0.9 * state[0] + state[3 + int(state[2]) % 200] - state[0]
