"""Logs of other libraries: those that Stable-Baselines3 itself writes, and CleanRL's."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from reports.comparison.foreign import PARTED, WINDOWED, find_logs, kind_of, of_episodes, read_logs
from reports.comparison.records import score
from tests.reports.comparison.test_event_files import cleanrl
from training.errors import UserError


@pytest.fixture(scope="module")
def sb3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run of Stable-Baselines3 with all its logs."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import EvalCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.logger import configure
    from stable_baselines3.common.monitor import Monitor

    folder = tmp_path_factory.mktemp("sb3") / "ppo"
    envs = make_vec_env("CartPole-v1", n_envs=2, seed=1, monitor_dir=str(folder))
    model = PPO("MlpPolicy", envs, n_steps=64, n_epochs=1, seed=1, device="cpu")
    model.set_logger(configure(str(folder), ["csv", "tensorboard"]))
    evaluate = EvalCallback(
        Monitor(gym.make("CartPole-v1")), eval_freq=100, n_eval_episodes=3, log_path=str(folder), verbose=0
    )
    model.learn(600, callback=evaluate)
    return folder


def test_every_log_is_known_by_its_content(sb3: Path, tmp_path: Path) -> None:
    kinds = {file.name: kind_of(file) for file in sb3.iterdir()}
    kinds = {("events" if "tfevents" in name else name): kind for name, kind in kinds.items()}
    assert kinds == {
        "0.monitor.csv": "monitor",
        "1.monitor.csv": "monitor",
        "progress.csv": "progress",
        "evaluations.npz": "evaluations",
        "events": "events",
    }
    renamed = tmp_path / "my.txt"
    renamed.write_bytes((sb3 / "progress.csv").read_bytes())
    assert kind_of(renamed) == "progress"
    assert list(find_logs(sb3.parent)) == [sb3]


def test_the_logs_of_a_folder_are_one_run(sb3: Path) -> None:
    one = read_logs(find_logs(sb3)[sb3])
    assert (one.label, one.config["env.id"], one.seed, one.foreign) == ("ppo", "CartPole-v1", None, True)
    results = np.load(sb3 / "evaluations.npz", allow_pickle=False)["results"]
    assert one.curves["evaluation/return_mean"].values == pytest.approx(results.mean(axis=1))
    assert score(one, "evaluation/return_mean", "final") == pytest.approx(results[-1].mean())
    assert np.isfinite(one.curves["evaluation/return_mean"].seconds).all(), "the time comes from the other logs"
    assert one.about["rollout/return_mean"] == PARTED
    assert one.about["evaluation/return_mean"].startswith("of 3 episodes each")
    assert "2 monitors" in one.remarks[0]


def test_monitors_count_the_steps_of_all_environments(sb3: Path) -> None:
    one = read_logs([sb3 / "0.monitor.csv", sb3 / "1.monitor.csv"])
    curve = one.curves["rollout/return_mean"]
    lengths = [
        float(line.split(",")[1]) for n in (0, 1) for line in (sb3 / f"{n}.monitor.csv").read_text().splitlines()[2:]
    ]
    assert curve.steps[-1] == sum(lengths)
    assert (np.diff(curve.steps) > 0).all()
    assert (np.diff(curve.seconds) >= 0).all()


def test_a_mean_of_a_window_is_said_to_be_smoothed(sb3: Path) -> None:
    one = read_logs([sb3 / "progress.csv"], "mine")
    assert (one.label, one.config["env.id"]) == ("mine", "CartPole-v1"), "the monitor beside it names the environment"
    assert one.about["rollout/return_mean"] == WINDOWED
    np.testing.assert_array_equal(one.curves["eval/mean_reward"], one.curves["evaluation/return_mean"])
    (events,) = sb3.glob("*tfevents*")
    other = read_logs([events])
    assert other.curves["rollout/return_mean"].values == pytest.approx(one.curves["rollout/return_mean"].values)
    assert other.about["rollout/return_mean"] == WINDOWED


def test_cleanrl_tells_its_seed_environment_and_arguments(tmp_path: Path) -> None:
    one = read_logs([cleanrl(tmp_path)])
    assert (one.label, one.seed, one.config["env.id"], one.budget) == ("ppo", 3, "CartPole-v1", 1000)
    assert one.about["rollout/return_mean"] == PARTED
    assert score(one, "rollout/return_mean", "final") == pytest.approx(95.0, abs=0.1)


def test_episodes_of_one_part_are_one_point() -> None:
    steps = np.array([1.0, 2.0, 1000.0])
    found = of_episodes(steps, steps, np.array([10.0, 20.0, 7.0]))
    assert found.steps.tolist() == [2.0, 1000.0]
    assert found.values.tolist() == [15.0, 7.0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.csv", b"a,b\n1,2\n", "no log that is known"),
        ("picture.npz", b"PK nonsense", "no log that is known"),
        ("monitor.csv", b'#{"t_start": 1.0, "env_id": "X-v0"}\nr,l,t\n', "no episode that ended"),
        ("progress.csv", b"time/total_timesteps\n1\n", "no number to compare"),
        ("monitor.csv", b'#{"t_start": 1.0}\nr,l,t\n1,x,3\n', "damaged"),
        ("monitor.csv", b"#{nonsense\nr,l,t\n1,2,3\n", "damaged"),
    ],
)
def test_what_is_no_log_is_one_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_logs([tmp_path / name])


def test_a_damaged_neighbour_harms_no_log(tmp_path: Path) -> None:
    (tmp_path / "progress.csv").write_text("time/total_timesteps,loss\n1,2\n")
    (tmp_path / "monitor.csv").write_text("#{nonsense\nr,l,t\n1,2,3\n")
    one = read_logs([tmp_path / "progress.csv"])
    assert one.curves["loss"].values.tolist() == [2.0]
    assert "env.id" not in one.config


def test_pickles_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "evaluations.npz", timesteps=np.array([1]), results=np.array([{}], dtype=object))
    with pytest.raises(UserError, match="cannot be read"):
        read_logs([tmp_path / "evaluations.npz"])
