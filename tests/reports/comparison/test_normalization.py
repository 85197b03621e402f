"""Scales: published, asked for, or the ends of what is compared."""

from __future__ import annotations

import numpy as np
import pytest

from reports.comparison.normalization import published, scale
from training.errors import UserError

SCORES = {
    "CartPole-v1": {"random": np.array([20.0, 22.0]), "ppo": np.array([500.0, 480.0])},
    "Acrobot-v1": {"random": np.array([-500.0]), "ppo": np.array([-80.0])},
}


def test_without_published_scores_the_ends_are_those_of_what_is_compared_and_that_is_said() -> None:
    found = scale([], SCORES)
    assert found.ends["CartPole-v1"] == (20.0, 500.0)
    assert "with other runs the numbers change" in found.told
    assert found.apply("CartPole-v1", np.array([20.0, 260.0])).tolist() == [0.0, 0.5]
    assert scale([], SCORES, lower_is_better=True).ends["CartPole-v1"] == (500.0, 20.0)


def test_groups_and_numbers_may_be_the_ends() -> None:
    assert scale(["random,ppo"], SCORES).ends == {"CartPole-v1": (21.0, 490.0), "Acrobot-v1": (-500.0, -80.0)}
    found = scale(["random,ppo", "CartPole-v1=0,500"], SCORES)
    assert found.ends == {"CartPole-v1": (0.0, 500.0), "Acrobot-v1": (-500.0, -80.0)}


def test_published_scores_are_used_where_every_environment_has_them() -> None:
    atari = {"ALE/Pong-v5": SCORES["CartPole-v1"], "BreakoutNoFrameskip-v4": SCORES["CartPole-v1"]}
    found = scale([], atari)
    assert found.ends == {"ALE/Pong-v5": (-20.7, 14.6), "BreakoutNoFrameskip-v4": (1.7, 30.5)}
    assert "dqn_zoo" in found.told
    assert published("Hopper-v2") == (-20.272305, 3234.3)
    assert published("Hopper-v5") is None, "it pays other rewards"
    assert published("CartPole-v1") is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["published"], "no published scores of CartPole-v1"),
        (["nonsense"], "it takes published"),
        (["random,expert"], "neither a number nor a group"),
        (["0,inf"], "neither a number nor a group"),
        (["Pong=0,1"], "the environments are CartPole-v1"),
        (["CartPole-v1=0,1"], "the ends of Acrobot-v1 are missing"),
        (["5,5"], "nothing lies between"),
    ],
)
def test_a_scale_that_is_none_is_one_line(asked: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        scale(asked, SCORES)
