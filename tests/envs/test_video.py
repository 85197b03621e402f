"""Videos of whole episodes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors.vector import EnvFault
from envs.video import record_video
from tests.support.toy_envs import Counting
from training.errors import UserError

CARTPOLE = EnvConfig("CartPole-v1")


def test_a_video_holds_one_whole_episode_from_its_first_observation(tmp_path: Path) -> None:
    from imageio.v2 import get_reader

    seen: list[Any] = []

    def push_right(obs: Any, *, action_mask: Any, reward: float) -> int:
        assert action_mask is None
        seen.append(obs)
        return 1

    path = record_video(CARTPOLE, push_right, tmp_path / "videos", seed=3)
    assert path == tmp_path / "videos" / "CartPole-v1-seed-3.mp4"
    vec = make_vec(CARTPOLE, 1, seed=3)
    step, expected = vec.reset(), []
    while not step.terminated[0]:
        expected.append(step.obs["obs"][0].copy())
        step = vec.step({"action": np.ones(1, np.int64)})
    np.testing.assert_array_equal(seen, expected)
    assert get_reader(path).count_frames() == len(seen) + 1


def test_a_video_shows_the_policy_the_action_mask(tmp_path: Path) -> None:
    masks: list[Any] = []

    def first_allowed(obs: Any, *, action_mask: Any, reward: float) -> int:
        masks.append(action_mask)
        return int(np.argmax(action_mask)) + 1

    record_video(EnvConfig("tests.support.toy_envs:Masked-v0"), first_allowed, tmp_path, seed=0)
    assert [int(mask.sum()) for mask in masks] == [3] * 6


class Board(Counting):
    """Draws one bright corner of ten by six cells."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(length=3)
        self.render_mode = render_mode

    def render(self) -> Any:
        picture = np.zeros((10, 6, 3))
        picture[:5, :3] = 1.0
        return picture


def test_small_pictures_of_floats_can_be_seen(tmp_path: Path) -> None:
    from imageio.v2 import get_reader

    path = record_video(EnvConfig.of(Board), lambda obs, *, action_mask, reward: 0, tmp_path, seed=0)
    picture = get_reader(path).get_data(0)
    assert picture.shape == (160, 96, 3)
    assert picture[:70, :40].min() > 200
    assert picture[90:].max() < 50


def test_an_environment_in_the_old_manner_is_named_in_a_video_too(tmp_path: Path) -> None:
    config = EnvConfig("tests.support.toy_envs:Faulty-v0", kwargs={"how": "info", "render_mode": "rgb_array"})
    with pytest.raises(EnvFault) as fault:
        record_video(config, lambda obs, *, action_mask, reward: 1, tmp_path, seed=0)
    told = "env 0 (tests.support.toy_envs:Faulty-v0), episode 0, at step 1, action 1: its info is None: it takes a dict"
    assert str(fault.value) == told


@pytest.mark.parametrize("name", ["Pictureless-v0", "Counting-v0"])
@pytest.mark.filterwarnings("ignore:.*render_mode")
def test_an_environment_without_pictures_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{name} cannot be re(corded|ndered)") as error:
        record_video(
            EnvConfig(f"tests.support.toy_envs:{name}"), lambda obs, *, action_mask, reward: 0, tmp_path, seed=0
        )
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("*.mp4"))


@pytest.mark.parametrize("package", ["imageio", "imageio_ffmpeg"])
def test_a_missing_video_package_is_one_line_with_the_command_that_installs_it(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in [loaded for loaded in sys.modules if loaded.split(".")[0].startswith("imageio")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError) as error:
        record_video(CARTPOLE, lambda obs, *, action_mask, reward: 0, tmp_path, seed=0)
    assert str(error.value).endswith('; install it: .venv/bin/pip install -c constraints.txt -e ".[video]"')
    assert "\n" not in str(error.value)
