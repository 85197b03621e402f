"""The published preprocessing of Atari games and of MiniGrid, on the environments themselves."""

from __future__ import annotations

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import make_vec
from envs.single import make_env
from envs.stacks import arguments_for
from tests.support.packages import needs
from training.errors import UserError

games = needs("ale_py", "games")
grids = needs("minigrid", "games")


@games
def test_an_atari_game_is_seen_as_published() -> None:
    """Held against the frames of the game, one by one: 4 for an action, the brighter of the last two, 84 x 84, grey."""
    import cv2

    config = EnvConfig("ALE/Pong-v5", kwargs={"repeat_action_probability": 0.0}, wrappers=("atari",))
    env, game = make_env(config), make_env(EnvConfig.of(config, wrappers=(), kwargs={**config.kwargs, "frameskip": 1}))
    obs, _ = env.reset(seed=5)
    game.reset(seed=5)
    for _ in range(game.unwrapped.np_random.integers(1, 31)):
        game.step(0)

    def seen(*frames: np.ndarray) -> np.ndarray:
        return cv2.resize(np.maximum.reduce(frames), (84, 84), interpolation=cv2.INTER_AREA)

    def frame() -> np.ndarray:
        return game.unwrapped.ale.getScreenGrayscale()  # type: ignore[attr-defined, no-any-return]

    stack = [seen(frame())] * 4
    np.testing.assert_array_equal(obs, np.stack(stack), strict=True)
    rewards = 0.0
    for action in [2, 3, 3, 0, 5] * 18:
        obs, reward, terminated, truncated, _ = env.step(action)
        frames, expected = [], 0.0
        for _ in range(4):
            expected += float(game.step(action)[1])
            frames.append(frame())
        stack = [*stack[1:], seen(*frames[2:])]
        np.testing.assert_array_equal(obs, np.stack(stack))
        assert (reward, terminated, truncated) == (expected, False, False)
        rewards += abs(expected)
    assert rewards > 0


@games
def test_a_lost_life_ends_no_episode_and_rewards_are_those_of_the_game() -> None:
    env = make_env(EnvConfig("ALE/SpaceInvaders-v5", wrappers=("atari",)))
    env.action_space.seed(1)
    _, info = env.reset(seed=3)
    lives, largest = info["lives"], 0.0
    while info["lives"] == lives:
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert not terminated
        assert not truncated
        largest = max(largest, float(reward))
    assert largest >= 5


@games
def test_the_game_itself_must_not_skip_frames() -> None:
    for name in ("ALE/Pong-v5", "PongNoFrameskip-v4"):
        assert make_env(EnvConfig(name, wrappers=("atari",))).observation_space.shape == (4, 84, 84)
    with pytest.raises(UserError) as error:
        make_vec(EnvConfig("ALE/Pong-v5", kwargs={"frameskip": 4}, wrappers=("atari",)), 1, seed=0)
    told = "env.kwargs.frameskip = 4: it takes 1 with the wrappers 'atari', which skip frames themselves"
    assert str(error.value) == told


def test_only_what_ale_makes_is_given_a_frame_skip() -> None:
    assert arguments_for(("atari",), "ale_py.env:AtariEnv") == {"frameskip": 1}
    assert arguments_for((), "ale_py.env:AtariEnv") == {}
    assert arguments_for(("atari",), "gymnasium.envs.classic_control:CartPoleEnv") == {}


@games
def test_a_stack_around_another_environment_is_refused_in_one_line() -> None:
    for word, message in (
        ("atari", "^env.wrappers: 'atari' takes an Atari game, such as ALE/Pong-v5; CartPole-v1 is none$"),
        ("minigrid", "^env.wrappers: 'minigrid' takes the observations of MiniGrid, .*; CartPole-v1 observes a Box$"),
    ):
        with pytest.raises(UserError, match=message) as error:
            make_env(EnvConfig("CartPole-v1", wrappers=(word,)))
        assert "\n" not in str(error.value)


@grids
def test_a_grid_is_seen_one_hot_with_its_direction_and_without_its_mission() -> None:
    from minigrid.wrappers import OneHotPartialObsWrapper

    config = EnvConfig("MiniGrid-DoorKey-5x5-v0", drop=("mission",))
    ours = make_env(EnvConfig.of(config, wrappers=("minigrid",), drop=()))
    theirs = OneHotPartialObsWrapper(make_env(config))
    assert sorted(ours.observation_space.spaces) == ["direction", "image"]  # type: ignore[attr-defined]
    assert ours.observation_space["image"].shape == (7, 7, 20)  # type: ignore[index]
    obs, expected = ours.reset(seed=2)[0], theirs.reset(seed=2)[0]
    for action in [2, 1, 3, 0, 5] * 10:
        np.testing.assert_array_equal(obs["image"], 255 * expected["image"])
        assert obs["direction"] == expected["direction"]
        assert ours.observation_space.contains(obs)
        obs, expected = ours.step(action)[0], theirs.step(action)[0]


@grids
def test_without_its_stack_a_grids_mission_is_refused_with_the_option() -> None:
    with pytest.raises(UserError, match=r"observes 'mission', a MissionSpace space, .*: --env.drop mission leaves it"):
        make_vec(EnvConfig("MiniGrid-DoorKey-5x5-v0"), 1, seed=0)
