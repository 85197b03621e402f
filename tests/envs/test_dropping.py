"""Parts of an observation are left out where that is asked for, and what no network takes is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from envs.config import EnvConfig
from envs.dropping import require_arrays, unreadable, without
from envs.making import make_vec
from tests.support.vectors import TOY
from training.errors import UserError

GRAPH = spaces.Graph(spaces.Discrete(2), None)
WORDS = spaces.Sequence(spaces.Discrete(3))


class Talking(gym.Env[Any, Any]):
    """Observes numbers and what no array holds."""

    observation_space = spaces.Dict(
        {"at": spaces.Discrete(4), "said": spaces.Text(9), "in": spaces.Dict({"graph": GRAPH, "x": spaces.Discrete(2)})}
    )
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._obs(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self._obs(), 1.0, False, bool(self.np_random.random() < 0.2), {}

    def _obs(self) -> Any:
        return {"at": 3, "said": "word", "in": {"graph": None, "x": int(self.np_random.integers(2))}}


TALKING = EnvConfig.of(Talking, backend="in-process")


def test_parts_are_left_out_by_name_also_inside_of_others() -> None:
    vec = make_vec(replace(TALKING, drop=("said", "in/graph")), 2, seed=1)
    step = vec.reset()
    assert sorted(step.obs) == ["obs/at", "obs/in/x"]
    assert vec.observation_space == spaces.Dict(
        {"at": spaces.Discrete(4), "in": spaces.Dict({"x": spaces.Discrete(2)})}
    )
    for _ in range(20):
        step = vec.step({"action": np.zeros(2, np.int64)})
    other = make_vec(replace(TALKING, drop=("said", "in/graph")), 2, seed=1)
    other.load_state_dict(vec.state_dict())
    assert other.inexact == []
    np.testing.assert_array_equal(other.current().obs["obs/in/x"], step.obs["obs/in/x"])


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        ((), "^env.id = .*: it observes 'in/graph', a Graph space, .*: --env.drop in/graph leaves it out, a wrapper"),
        (("in/graph",), "it observes 'said', a Text space, .*: --env.drop said leaves it out"),
        (("sade",), r"^env.drop = \('sade',\): .* observes no 'sade'; did you mean said\?$"),
        (("at", "said", "in"), "nothing would be left"),
        (("at", "said", "in/graph", "in/x"), "nothing would be left"),
    ],
)
def test_what_no_network_takes_is_refused_with_the_option(drop: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        make_vec(replace(TALKING, drop=drop), 1, seed=0)
    assert "\n" not in str(error.value)


def test_what_is_in_no_dict_cannot_be_dropped() -> None:
    with pytest.raises(UserError, match=r"observes no 'said'; it observes no dict$"):
        without(gym.make("CartPole-v1"), ("said",), "CartPole-v1")
    with pytest.raises(UserError, match="it observes a Sequence space, which no network takes: a wrapper"):
        require_arrays(WORDS, "Thing-v0")
    assert unreadable(spaces.Tuple([WORDS, spaces.Discrete(2)])) == [("0", WORDS, False)]
    assert unreadable(spaces.Dict({"a": spaces.Tuple([spaces.Text(3)])}))[0][::2] == ("a/0", False)


def test_wrappers_may_make_numbers_of_it_instead() -> None:
    wrapped = replace(EnvConfig(TOY + "Sentences-v0"), wrappers=(f"{__name__}:count_letters",))
    assert make_vec(wrapped, 1, seed=0).observation_space == spaces.Dict(
        {"said": spaces.Discrete(6), "x": spaces.Discrete(2)}
    )


def count_letters(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    space = spaces.Dict({"said": spaces.Discrete(6), "x": spaces.Discrete(2)})
    return gym.wrappers.TransformObservation(env, lambda obs: {**obs, "said": len(obs["said"])}, space)
