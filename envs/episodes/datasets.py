"""Reads Minari datasets (https://minari.farama.org, format 0.5) as checked episodes, and writes them.

Nothing in a dataset is executed. Minari itself makes the environment that a dataset names when the dataset does not
say its spaces, and so runs any function that its `env_spec` points at: here the spaces come from the dataset's JSON or
from the experiment's environment, and `env_spec` is never read. The arrays are HDF5, Arrow or Parquet without objects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from envs.episodes.dataset_folders import find_dataset, making, read_metadata, roots
from envs.episodes.episodes import Episodes, join
from envs.spaces import Leaf, SpaceError, flatten, leaves, row_bytes, unflatten
from envs.vectors.vector import Arrays, named
from training.errors import UserError
from training.extras import extra
from training.machine import require_memory

SLACK = 1e-4
"""How far an action may be over a bound, as a part of the range: a rounding error, which is clipped."""
Spaces = tuple[gym.Space[Any], gym.Space[Any]]
_UNREADABLE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AssertionError)
"""What HDF5, Arrow and Minari raise over files that are cut off or are not what their metadata say."""


def read_dataset(name: str, expected: Spaces | None = None, *, expected_of: str = "the environment") -> Episodes:
    """The episodes of a dataset, given by its name or its folder.

    Args:
        name: such as `regimen/pendulum/mixed-v0`, or a path.
        expected: the observation and the action space that it must have.
        expected_of: whose those are, for the error.

    Raises:
        UserError: there is no such dataset, it cannot be read, it is empty, its spaces are others, or an episode is not
            whole: other lengths, values that are not finite or not in the space, no end or an end before its end.
    """
    folder = find_dataset(name)
    metadata = read_metadata(name)
    own = _spaces(name, metadata, expected)
    if expected is not None:
        for what, mine, theirs in zip(("observation", "action"), own, expected, strict=True):
            if not _compatible(mine, theirs, bounds=what == "action"):
                raise UserError(
                    f"dataset {name}: its {what} space is {_short(mine)}, that of {expected_of} is {_short(theirs)}"
                )
    count = metadata.get("total_episodes", 0)
    if not isinstance(count, int) or count < 1:
        raise UserError(f"dataset {name} is empty: it has no episodes")
    if isinstance(steps := metadata.get("total_steps"), int):
        row = row_bytes(own[0]) + row_bytes(own[1]) + 8 + 1 + 1  # reward, terminated, truncated
        # Read episode by episode and then joined, so for a moment it is there twice.
        require_memory(2 * steps * row, f"dataset {name} of {steps:,} steps", "a smaller dataset takes less")
    read = (_checked(name, index, raw, own) for index, raw in enumerate(_raw(name, folder, metadata, own, count)))
    return join(list(read))


def write_dataset(
    name: str,
    episodes: Episodes,
    *,
    env_spec: EnvSpec | None,
    seeds: Sequence[int] | None = None,
    metadata: Mapping[str, Any],
    root: Path | None = None,
) -> Path:
    """Writes a dataset, whole or not at all; returns its folder.

    Args:
        name: under which it is found.
        episodes: what it holds.
        env_spec: of the environment, for `minari`'s own users.
        seeds: with which the environment was reset, one for each episode.
        metadata: more to say of it; what JSON can hold.
        root: where; by default where datasets lie.

    Raises:
        UserError: the name is taken or is none for Minari, the folder cannot be written, or a part of a space has a
            name with a slash, which Minari's files do not take.
    """
    for leaf in (*leaves(episodes.observation_space), *leaves(episodes.action_space)):
        if slashed := [key for key in leaf.path if "/" in str(key)]:
            raise UserError(
                f"dataset = {name!r}: the part {slashed[0]!r} of a space has a slash in its name; rename it"
            )
    with making(name, root) as folder:
        _write(folder / "data", name, episodes, env_spec, seeds, metadata)
    return (root or roots()[0]) / name


class _Minari(NamedTuple):
    """The parts of Minari that are used."""

    version: str
    Storage: Any
    formats: Sequence[str]
    storage_of: Callable[[str], Any]
    deserialize_space: Callable[[Any], gym.Space[Any]]
    EpisodeBuffer: Any


def _minari() -> _Minari:
    with extra("offline"):
        import h5py  # noqa: F401
        from minari import __version__
        from minari.data_collector import EpisodeBuffer
        from minari.dataset._storages import get_minari_storage, get_storage_keys
        from minari.dataset.minari_storage import MinariStorage
        from minari.serialization import deserialize_space
    return _Minari(__version__, MinariStorage, get_storage_keys(), get_minari_storage, deserialize_space, EpisodeBuffer)


def _spaces(name: str, metadata: Mapping[str, Any], expected: Spaces | None) -> Spaces:
    """The spaces that the dataset says it has; those that are expected where it says nothing."""
    deserialize_space = _minari().deserialize_space
    found = []
    for position, key in enumerate(("observation_space", "action_space")):
        if key not in metadata:
            if expected is None:
                raise UserError(f"dataset {name} does not say its {key}: read it for an environment")
            found.append(expected[position])
            continue
        try:
            found.append(deserialize_space(metadata[key]))
        except (*_UNREADABLE, NotImplementedError) as error:
            raise UserError(f"dataset {name} cannot be read: its {key} is {metadata[key]!r} ({error})") from None
        leaves(found[-1])  # raises for a space that has no arrays
    return found[0], found[1]


def _compatible(mine: gym.Space[Any], theirs: gym.Space[Any], *, bounds: bool) -> bool:
    """Whether both have the same arrays. Bounds matter to actions only, which are rescaled from them."""
    own, others = ({leaf.name: leaf for leaf in leaves(space)} for space in (mine, theirs))
    return own.keys() == others.keys() and all(_same(own[name], others[name], bounds=bounds) for name in own)


def _same(mine: Leaf, theirs: Leaf, *, bounds: bool) -> bool:
    if (mine.shape, mine.dtype) != (theirs.shape, theirs.dtype):
        return False
    counts = np.array_equal(mine.counts, theirs.counts) if mine.counts is not None else theirs.counts is None  # type: ignore[arg-type]
    same_bounds = not bounds or not isinstance(mine.space, spaces.Box) or mine.space == theirs.space
    return counts and np.array_equal(mine.start, theirs.start) and same_bounds


def _raw(name: str, folder: Path, metadata: Mapping[str, Any], own: Spaces, count: int) -> Iterator[Mapping[str, Any]]:
    """The episodes as Minari reads them. Its storages only decode arrays; `MinariStorage.read` may do more."""
    minari = _minari()
    data_format = metadata.get("data_format", "hdf5")
    if data_format not in minari.formats:
        takes = ", ".join(minari.formats)
        raise UserError(f"dataset {name}: its data_format is {data_format!r}: it takes {takes}")
    with extra("offline"):  # Arrow's package is another one
        storage_class = minari.storage_of(data_format)
    encoded = bool(metadata.get("jpeg_encoding", True))
    try:
        storage = storage_class(folder / "data", *own, jpeg_encoding=encoded)
        yield from storage.get_episodes(range(count))
    except _UNREADABLE as error:
        told = " ".join(str(error).split())[:200]
        raise UserError(f"dataset {name} cannot be read: is a file in {folder} cut off? ({told})") from None


def _checked(name: str, index: int, raw: Mapping[str, Any], own: Spaces) -> Episodes:
    """One episode; raises UserError where it is not whole."""
    where = f"dataset {name}, episode {index}"
    try:
        reward = np.asarray(raw["rewards"], np.float64)
        terminated, truncated = (np.asarray(raw[key], bool) for key in ("terminations", "truncations"))
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: its rewards, terminations or truncations are no numbers ({error})") from None
    steps = len(reward) if reward.ndim == 1 else 0
    if not steps or not reward.shape == terminated.shape == truncated.shape:
        shapes = f"{list(reward.shape)}, {list(terminated.shape)} and {list(truncated.shape)}"
        raise UserError(f"{where}: rewards, terminations and truncations have the shapes {shapes}: it takes one length")
    if not np.isfinite(reward).all():
        at = int(np.argmin(np.isfinite(reward)))
        raise UserError(f"{where}: the reward of step {at} is {reward[at]}: it takes finite numbers")
    obs = _encoded(where, "observations", "obs", own[0], raw["observations"], steps + 1)
    action = _encoded(where, "actions", "action", own[1], raw["actions"], steps)
    for leaf in leaves(own[1]):
        key = named("action", leaf.name)
        action[key] = _within_bounds(where, leaf, action[key])
    ends = terminated | truncated
    if not ends[-1]:
        raise UserError(f"{where} has no end: its last step is neither terminated nor truncated")
    if ends[:-1].any():
        at = int(np.argmax(ends))
        raise UserError(f"{where} has {steps} steps, but step {at} ends it already")
    return Episodes(*own, obs, action, reward, terminated, truncated, np.array([steps]))


def _encoded(where: str, what: str, prefix: str, space: gym.Space[Any], value: Any, rows: int) -> Arrays:
    try:
        arrays = flatten(leaves(space), value, (rows,))
    except SpaceError as error:
        raise UserError(f"{where}: a value of its {what} does not belong there: it {str(error)[:300]}") from None
    return {named(prefix, name): array for name, array in arrays.items()}


def _within_bounds(where: str, leaf: Leaf, action: Any) -> Any:
    """The actions, a rounding error over a bound clipped to it."""
    if not isinstance(leaf.space, spaces.Box):
        return action
    low, high = leaf.space.low, leaf.space.high
    slack = SLACK * np.where(np.isfinite(high - low), high - low, 1.0)
    over = (action < low - slack) | (action > high + slack)
    if over.any():
        value, box = action[over][0], _short(leaf.space)
        raise UserError(f"{where}: an action holds {value:g}, which is outside its space {box}")
    return np.clip(action, low, high).astype(action.dtype)


def _write(
    data: Path,
    name: str,
    episodes: Episodes,
    env_spec: EnvSpec | None,
    seeds: Sequence[int] | None,
    metadata: Mapping[str, Any],
) -> None:
    minari = _minari()
    try:
        json.dumps(env_spec and env_spec.to_json())
    except (TypeError, ValueError):
        env_spec = None  # registered with a class or with other arguments that JSON cannot hold: it is left out
    storage = minari.Storage.new(
        data.absolute(),  # its own reckoning of sizes fails for a relative one
        observation_space=episodes.observation_space,
        action_space=episodes.action_space,
        env_spec=env_spec,
        jpeg_encoding=False,  # which loses what the policy saw
    )
    storage.update_metadata({"dataset_id": name, "minari_version": minari.version, **metadata})
    storage.update_episodes(_buffers(episodes, seeds))


def _buffers(episodes: Episodes, seeds: Sequence[int] | None) -> Iterable[Any]:
    """The episodes as Minari takes them; its own way to make them needs jax."""
    make = _minari().EpisodeBuffer
    for e in range(len(episodes)):
        one = episodes.select([e])
        yield make(
            seed=None if seeds is None else seeds[e],
            observations=_values(one.observation_space, "obs", one.obs),
            actions=_values(one.action_space, "action", one.action),
            rewards=one.reward,
            terminations=one.terminated,
            truncations=one.truncated,
        )


def _values(space: gym.Space[Any], prefix: str, arrays: Arrays) -> Any:
    parts = leaves(space)
    return unflatten(space, parts, {leaf.name: arrays[named(prefix, leaf.name)] for leaf in parts})


def _short(space: gym.Space[Any]) -> str:
    return " ".join(str(space).split())[:200]
