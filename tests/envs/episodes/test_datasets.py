"""Datasets: what Minari or we wrote is read as it was, and whatever is wrong with one is said in one line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import minari
import numpy as np
import pytest
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer

from agents.acting.recording import save
from envs.config import EnvConfig, find_spec
from envs.episodes.dataset_folders import find_dataset
from envs.episodes.datasets import read_dataset
from envs.spaces import flatten, leaves
from envs.vectors.vector import named
from tests.support.datasets import SPACES, buffer, change_metadata, write
from tests.support.memory import machine_of
from tests.support.recorded import RandomPolicy, record_random
from training.errors import UserError

COUNTING = EnvConfig("tests.support.learning_envs:CountingEpisodes-v0")
pytestmark = pytest.mark.usefixtures("root")


def sample_episode(own: tuple[Any, Any], steps: int) -> tuple[EpisodeBuffer, list[Any], list[Any]]:
    """An episode of random values of any spaces, for Minari and as single values."""
    for space in own:
        space.seed(1)
    seen, done = [own[0].sample() for _ in range(steps + 1)], [own[1].sample() for _ in range(steps)]
    stacked = [gather(space, values) for space, values in zip(own, (seen, done), strict=True)]
    return buffer(steps, observations=stacked[0], actions=stacked[1]), seen, done


def gather(space: Any, values: list[Any]) -> Any:
    if isinstance(space, spaces.Dict):
        return {key: gather(part, [value[key] for value in values]) for key, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(gather(part, [value[i] for value in values]) for i, part in enumerate(space))
    return np.stack(values)


@pytest.mark.parametrize("data_format", ["hdf5", "arrow", "parquet"])
@pytest.mark.parametrize(
    "env_id", ["tests.support.toy_envs:Nested-v0", "tests.support.toy_envs:RandomWalk-v0", "CartPole-v1"]
)
def test_what_minari_wrote_is_read_as_named_arrays(env_id: str, data_format: str) -> None:
    env = gym.make(env_id)
    own = env.observation_space, env.action_space
    made = [sample_episode(own, steps) for steps in (3, 5)]
    write("of/minari-v0", *(episode for episode, _, _ in made), data_format=data_format, own=own, jpeg_encoding=False)
    read = read_dataset("of/minari-v0", own)
    assert read.lengths.tolist() == [3, 5]
    assert read.reward.tolist() == [0, 0.5, 1, 0, 0.5, 1, 1.5, 2]
    assert read.truncated.tolist() == [False, False, True, False, False, False, False, True]
    for prefix, space, arrays, position in (("obs", own[0], read.obs, 1), ("action", own[1], read.action, 2)):
        values = [value for episode in made for value in episode[position]]
        expected = [flatten(leaves(space), value) for value in values]
        assert set(arrays) == {named(prefix, leaf.name) for leaf in leaves(space)}
        for leaf in leaves(space):
            array = arrays[named(prefix, leaf.name)]
            assert array.dtype == leaf.dtype
            assert np.array_equal(array, np.stack([value[leaf.name] for value in expected]))


def test_pictures_that_minari_compressed_are_read() -> None:
    own = spaces.Box(0, 255, (40, 32, 3), np.uint8), spaces.Discrete(2)
    plain = np.stack([np.full((40, 32, 3), 60 * i, np.uint8) for i in range(3)])  # what JPEG keeps exactly
    write("pictures-v0", buffer(2, observations=plain, actions=np.array([0, 1])), own=own)
    assert np.array_equal(read_dataset("pictures-v0", own).obs["obs"], plain)


@pytest.mark.parametrize(
    "env_id",
    [
        "tests.support.toy_envs:Nested-v0",
        "tests.support.toy_envs:RandomWalk-v0",
        "tests.support.learning_envs:Picture-v0",
        "Pendulum-v1",
    ],
)
def test_what_is_written_is_read_back_to_the_bit(env_id: str) -> None:
    env = EnvConfig(env_id)
    episodes, seeds = record_random(env, 7)
    save("ours/random-v0", episodes, seeds, env, algorithm="none", told={"why": "a test"})
    read = read_dataset("ours/random-v0", (episodes.observation_space, episodes.action_space))
    assert read.sha256 == episodes.sha256
    dataset = minari.load_dataset("ours/random-v0")
    assert (dataset.total_episodes, dataset.total_steps) == (7, episodes.steps)
    assert [dict(m)["seed"] for m in dataset.storage.get_episode_metadata(range(7))] == seeds
    assert dataset.storage.metadata["recorded"]["why"] == "a test"
    spec = find_spec(env_id)
    assert dataset.env_spec == (None if callable(spec.entry_point) else spec), "a class is nothing for JSON"
    assert list(minari.list_local_datasets()) == ["ours/random-v0"]


@pytest.mark.parametrize("env_id", ["tests.support.toy_envs:RandomWalk-v0", "tests.support.toy_envs:Nested-v0"])
def test_a_policy_learns_the_actions_that_give_the_datasets(env_id: str) -> None:
    """RandomWalk's two entries go from -2 to 6 and from 0 to 1."""
    env = EnvConfig(env_id)
    policy = RandomPolicy(env)
    episodes, _ = record_random(env, 3)
    learned = policy.learned_action(episodes.action)
    again = policy.env_action(learned)
    for key, action in episodes.action.items():
        assert np.allclose(again[key], action, atol=1e-6)
    if env_id.endswith("Walk-v0"):
        assert np.abs(learned["action"]).max() <= 1 + 1e-6
        middle = policy.learned_action({"action": np.array([[2.0, 0.5], [6.0, 0.0]], np.float32)})
        assert middle["action"].tolist() == [[0, 0], [1, -1]]
        assert middle["action"].dtype == np.float32


def error_of(act: Callable[[], object]) -> str:
    with pytest.raises(UserError) as told:
        act()
    assert "\n" not in str(told.value)
    return str(told.value)


def test_a_part_with_a_slash_in_its_name_is_told() -> None:
    """HDF5 would make two parts of it."""
    episodes, _ = record_random(COUNTING, 1)
    slashed = replace(
        episodes,
        observation_space=spaces.Dict({"a/b": episodes.observation_space}),
        obs={"obs/a/b": episodes.obs["obs"]},
    )
    assert error_of(lambda: save("a-v0", slashed, [1], COUNTING, algorithm="none", told={})) == (
        "dataset = 'a-v0': the part 'a/b' of a space has a slash in its name; rename it"
    )


def test_parts_in_another_order_are_the_same_space() -> None:
    parts = {"a": SPACES[0], "b": spaces.Discrete(3)}
    values = {"a": np.zeros((4, 2), np.float32), "b": np.array([0, 1, 2, 0])}
    write("dict-v0", buffer(observations=values), own=(spaces.Dict(parts), SPACES[1]))
    other = spaces.Dict([("b", parts["b"]), ("a", parts["a"])])
    assert list(other.spaces) == ["b", "a"]
    assert read_dataset("dict-v0", (other, SPACES[1])).obs["obs/b"].tolist() == [0, 1, 2, 0]
    with pytest.raises(UserError, match="its observation space is"):
        read_dataset("dict-v0", (spaces.Dict(parts | {"b": spaces.Discrete(4)}), SPACES[1]))


def nan_at(array: Any, *index: int) -> Any:
    changed = np.array(array, np.float32)
    changed[index] = np.nan
    return changed


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "nan reward": (
        {"rewards": nan_at([0, 1, 2], 1)},
        "episode 1: the reward of step 1 is nan: it takes finite numbers",
    ),
    "infinite reward": ({"rewards": [0, 1, np.inf]}, "episode 1: the reward of step 2 is inf: it takes finite numbers"),
    "nan observation": (
        {"observations": nan_at(np.zeros((4, 2)), 3, 0)},
        "episode 1: a value of its observations does not belong there: it holds nan at [3, 0]",
    ),
    "nan action": (
        {"actions": nan_at(np.zeros((3, 1)), 0, 0)},
        "episode 1: a value of its actions does not belong there: it holds nan at [0, 0]",
    ),
    "no end": ({"truncations": [False] * 3}, "episode 1 has no end: its last step is neither terminated nor truncated"),
    "end before the end": (
        {"terminations": [False, True, False]},
        "episode 1 has 3 steps, but step 1 ends it already",
    ),
    "no last observation": (
        {"observations": np.zeros((3, 2), np.float32)},
        "episode 1: a value of its observations does not belong there: it has shape (3, 2); "
        "its space is Box(-10.0, 10.0, (2,), float32)",
    ),
    "more rewards than flags": (
        {"rewards": [0, 1, 2, 3]},
        "episode 1: rewards, terminations and truncations have the shapes [4], [3] and [3]: it takes one length",
    ),
    "action out of bounds": (
        {"actions": np.array([[0], [2.5], [0]], np.float32)},
        "episode 1: an action holds 2.5, which is outside its space Box(-2.0, 2.0, (1,), float32)",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_episode_that_is_not_whole_is_told(name: str) -> None:
    changes, expected = BROKEN[name]
    write("broken-v0", buffer(), buffer(**changes))
    assert error_of(lambda: read_dataset("broken-v0")) == f"dataset broken-v0, {expected}"


def test_a_rounding_error_over_a_bound_is_clipped() -> None:
    write("edge-v0", buffer(actions=np.array([[2.00001], [-2.00001], [0]], np.float32)))
    assert read_dataset("edge-v0").action["action"].flatten().tolist() == [2, -2, 0]


def test_a_value_outside_a_discrete_space_is_told() -> None:
    own = SPACES[0], spaces.Discrete(2, start=1)
    write("broken-v0", buffer(actions=np.array([1, 2, 3])), own=own)
    told = error_of(lambda: read_dataset("broken-v0"))
    assert told.startswith("dataset broken-v0, episode 0: a value of its actions does not belong there: it is ")
    assert "outside its space Discrete(2, start=1)" in told


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ((spaces.Box(-9, 9, (2,)), SPACES[1]), None),  # an observation's bounds do not matter
        ((spaces.Box(-10, 10, (3,)), SPACES[1]), "its observation space is Box(-10.0, 10.0, (2,), float32), that of "),
        ((SPACES[0], spaces.Box(-1, 1, (1,))), "its action space is Box(-2.0, 2.0, (1,), float32), that of it is "),
        ((SPACES[0], spaces.Discrete(2)), "its action space is Box(-2.0, 2.0, (1,), float32), that of it is Discrete"),
        ((spaces.Dict({"a": SPACES[0]}), SPACES[1]), "its observation space is Box(-10.0, 10.0, (2,), float32), that"),
    ],
)
def test_spaces_that_do_not_match_are_told(expected: Any, told: str | None) -> None:
    write("other-v0", buffer())
    if told is None:
        assert len(read_dataset("other-v0", expected)) == 1
    else:
        assert error_of(lambda: read_dataset("other-v0", expected, expected_of="it")).startswith(
            f"dataset other-v0: {told}"
        )


@pytest.mark.parametrize("data_format", ["hdf5", "arrow", "parquet"])
def test_a_file_that_is_cut_off_is_told(data_format: str) -> None:
    write("cut-v0", *(buffer(300) for _ in range(3)), data_format=data_format)
    files = [path for path in find_dataset("cut-v0").rglob("*") if path.is_file() and path.suffix != ".json"]
    file = max(files)
    os.truncate(file, file.stat().st_size * 2 // 3)
    assert error_of(lambda: read_dataset("cut-v0")).startswith(
        f"dataset cut-v0 cannot be read: is a file in {find_dataset('cut-v0')} cut off? ("
    )


def test_damaged_metadata_are_told() -> None:
    write("empty-v0")
    assert error_of(lambda: read_dataset("empty-v0")) == "dataset empty-v0 is empty: it has no episodes"
    write("more-v0", buffer())
    change_metadata("more-v0", lambda metadata: metadata.update(total_episodes=2))
    assert error_of(lambda: read_dataset("more-v0")).startswith("dataset more-v0 cannot be read: is a file in")
    write("format-v0", buffer())
    change_metadata("format-v0", lambda metadata: metadata.update(data_format="pickle"))
    assert error_of(lambda: read_dataset("format-v0")) == (
        "dataset format-v0: its data_format is 'pickle': it takes arrow, hdf5, parquet"
    )
    write("space-v0", buffer())
    change_metadata("space-v0", lambda metadata: metadata.update(action_space='{"type": "Graph"}'))
    assert error_of(lambda: read_dataset("space-v0")).startswith("dataset space-v0 cannot be read: its action_space is")
    write("text-v0", buffer())
    (find_dataset("text-v0") / "data" / "metadata.json").write_text("{")
    assert "cannot be read" in error_of(lambda: read_dataset("text-v0"))
    write("list-v0", buffer())
    (find_dataset("list-v0") / "data" / "metadata.json").write_text("[]")
    assert "holds no JSON object" in error_of(lambda: read_dataset("list-v0"))


def test_nothing_that_a_dataset_names_is_executed(tmp_path: Path) -> None:
    """Minari makes the environment of a dataset that does not say its spaces: any function of any module."""
    write("evil-v0", buffer())

    def disguise(metadata: dict[str, Any]) -> None:
        del metadata["observation_space"], metadata["action_space"]
        spec = gym.spec("Pendulum-v1").to_json()
        metadata["env_spec"] = json.dumps(
            json.loads(spec) | {"id": "Evil-v0", "entry_point": "os:mkdir", "kwargs": {"path": str(tmp_path / "owned")}}
        )

    change_metadata("evil-v0", disguise)
    assert len(read_dataset("evil-v0", SPACES)) == 1
    assert error_of(lambda: read_dataset("evil-v0")) == (
        "dataset evil-v0 does not say its observation_space: read it for an environment"
    )
    assert not (tmp_path / "owned").exists()


def test_objects_in_a_file_are_refused() -> None:
    """HDF5 has no pickles; strings are the only objects that h5py reads, and no space takes them."""
    write("words-v0", buffer())
    with h5py.File(find_dataset("words-v0") / "data" / "main_data.hdf5", "a") as file:
        del file["episode_0/rewards"]
        file["episode_0"].create_dataset("rewards", data=["a", "b", "c"], dtype=h5py.string_dtype())
    assert "are no numbers" in error_of(lambda: read_dataset("words-v0"))


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    write("a-v0", buffer())
    monkeypatch.setitem(sys.modules, "h5py", None)
    told = error_of(lambda: read_dataset("a-v0"))
    assert told.startswith("a package is missing (")
    assert told.endswith('install it: .venv/bin/pip install -c constraints.txt -e ".[offline]"')


def test_a_dataset_that_does_not_fit_into_memory_is_told_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    env = EnvConfig("CartPole-v1")
    save("cart/random-v0", *record_random(env, 3), env, algorithm="none", told={})
    episodes = read_dataset("cart/random-v0")
    arrays = [*episodes.action.values(), episodes.reward, episodes.terminated, episodes.truncated]
    at_least = 2 * (sum(array.nbytes for array in arrays) + episodes.obs["obs"][: episodes.steps].nbytes)
    machine_of(at_least, at_least, monkeypatch)
    read_dataset("cart/random-v0")
    machine_of(at_least - 1, at_least - 1, monkeypatch)
    with pytest.raises(UserError, match=rf"dataset cart/random-v0 of {episodes.steps} steps takes .* this machine has"):
        read_dataset("cart/random-v0")
