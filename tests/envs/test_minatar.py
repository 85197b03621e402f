"""MinAtar: an episode is made by its seed and its actions, whatever its instance lived through before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.families import kind_of
from envs.single import make_env
from tests.support.packages import needs

GAMES = ("Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders")


def episode(env: Any, seed: int, actions: Any) -> list[Any]:
    obs, _ = env.reset(seed=seed)
    seen = [obs.copy()]
    for action in actions:
        obs, reward, terminated, _, _ = env.step(action)
        seen += [obs.copy(), reward, terminated]
        if terminated:
            break
    return seen


@needs("minatar", "games")
@pytest.mark.parametrize("game", GAMES)
def test_an_episode_is_the_same_in_a_new_instance_and_in_a_used_one(game: str) -> None:
    config = EnvConfig(f"MinAtar/{game}-v1", kwargs={"sticky_action_prob": 0.5})
    assert not config.needs_fresh_instance
    actions = np.random.default_rng(1).integers(make_env(config).action_space.n, size=400)  # type: ignore[attr-defined]
    used = make_env(config)
    for seed in range(3):
        episode(used, 100 + seed, actions[::-1])
        used.unwrapped.game.last_action = 1  # type: ignore[attr-defined]
        for first, second in zip(episode(used, seed, actions), episode(make_env(config), seed, actions), strict=True):
            np.testing.assert_array_equal(first, second)


@needs("minatar", "games")
def test_its_family_has_presets() -> None:
    assert kind_of(EnvConfig("MinAtar/Breakout-v1")).names[:3] == ("MinAtar/Breakout-v1", "minatar", "small_images")
