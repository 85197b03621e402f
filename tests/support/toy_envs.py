"""Small environments that show one thing each. Importing this module registers them with Gymnasium."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import NormalizeReward, TimeLimit

Env = gym.Env[Any, Any]


class Counting(Env):
    """Observes [number of resets of this instance, steps in the episode]; ends after `length` steps."""

    observation_space = spaces.Box(0, np.inf, (2,), np.float64)
    action_space = spaces.Discrete(2)

    def __init__(self, length: int = 5, truncates: bool = False) -> None:
        self.length, self.truncates, self.resets, self.steps = length, truncates, 0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.resets, self.steps = self.resets + 1, 0
        return self._obs(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        end = self.steps >= self.length
        return self._obs(), float(self.steps), end and not self.truncates, end and self.truncates, {}

    def _obs(self) -> Any:
        return np.array([self.resets, self.steps], np.float64)


class RandomWalk(Env):
    """A walk whose steps and end are drawn from the environment's own generator."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = spaces.Box(np.array([-2.0, 0.0]), np.array([6.0, 1.0]), dtype=np.float64)

    end_chance = 0.1

    def __init__(self, end_chance: float | None = None) -> None:
        if end_chance is not None:
            self.end_chance = end_chance

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = self.np_random.normal(size=3)
        return self.place.astype(np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        self.place = self.place + self.np_random.normal(size=3) + action.sum()
        end = self.np_random.random() < self.end_chance
        return self.place.astype(np.float32), float(self.place[0]), end and self.place[1] > 0, end, {}


class Nested(Env):
    """Every kind of space within Dict and Tuple, for observations and actions; observes the action it was given."""

    parts: ClassVar[dict[str, Any]] = {
        "arm": spaces.Box(-3.0, 5.0, (2,), np.float32),
        "grip": spaces.Discrete(3, start=-1),
        "keys": spaces.MultiBinary(4),
        "pair": spaces.Tuple([spaces.MultiDiscrete([2, 3], start=[5, 0]), spaces.Dict({"deep": spaces.Discrete(2)})]),
    }
    action_space = spaces.Dict(parts)
    observation_space = spaces.Dict({**parts, "image": spaces.Box(0, 255, (4, 4, 1), np.uint8)})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        self.steps += 1
        image = self.np_random.integers(0, 256, (4, 4, 1), np.uint8)
        return {**action, "image": image}, float(action["arm"].sum()), self.steps % 7 == 0, False, {}


class Masked(Env):
    """Allows all actions but one, which moves on; forbidden ones raise.

    `at_end`: what it reports with the last observation of an episode.
    """

    observation_space = spaces.Discrete(4, start=10)
    action_space = spaces.Discrete(4, start=1)
    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}

    def __init__(
        self,
        forgets: bool = False,
        render_mode: str | None = None,
        at_end: Literal["mask", "no mask", "zeros"] = "mask",
    ) -> None:
        self.forgets, self.render_mode, self.at_end = forgets, render_mode, at_end

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.forbidden, self.steps = int(self.np_random.integers(4)), 0
        return self.forbidden + 10, self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if action - 1 == self.forbidden:
            raise ValueError("a forbidden action")
        self.steps += 1
        self.forbidden = (self.forbidden + 1) % 4
        info = {} if self.forgets else self._info()
        if self.steps == 6 and self.at_end != "mask":
            info = {} if self.at_end == "no mask" else {"action_mask": np.zeros(4, np.int8)}
        return self.forbidden + 10, 1.0, False, self.steps == 6, info

    def render(self) -> Any:
        return np.full((33, 65, 3), 60 * self.forbidden, np.uint8)

    def _info(self) -> dict[str, Any]:
        return {"action_mask": (np.arange(4) != self.forbidden).astype(np.int8)}


class MaskedPair(Env):
    """Two numbers, each of which has one value that is not allowed; forbidden ones raise.

    Observes them; `nested` masks are tuples as Gymnasium's spaces take them, otherwise one array. With `draws` a reward
    is drawn from NumPy's global generator.
    """

    observation_space = spaces.MultiDiscrete([3, 4])
    action_space = spaces.MultiDiscrete([3, 4], start=[5, -1])

    def __init__(self, nested: bool = False, draws: bool = False) -> None:
        self.nested, self.draws = nested, draws

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self._next()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        if (action - [5, -1] == self.forbidden).any():
            raise ValueError("a forbidden action")
        self.steps += 1
        obs, info = self._next()
        return obs, np.random.random() if self.draws else 1.0, False, self.steps == 6, info

    def _next(self) -> tuple[Any, dict[str, Any]]:
        self.forbidden = self.np_random.integers([3, 4])
        masks = tuple((np.arange(n) != no).astype(np.int8) for n, no in zip((3, 4), self.forbidden, strict=True))
        return self.forbidden, {"action_mask": masks if self.nested else np.concatenate(masks)}


class Started(Env):
    """Shows which of three answers it wants, and takes them by the names of its space; asserts that it gets its own."""

    observation_space = spaces.Box(0, 1, (3,), np.float32)
    kinds: ClassVar[dict[str, Any]] = {
        "discrete": spaces.Discrete(3, start=5),
        "multi_discrete": spaces.MultiDiscrete([3, 2], start=[5, -1]),
        "dict": spaces.Dict({"a": spaces.Discrete(3, start=5), "b": spaces.Discrete(2)}),
        "half_bounded": spaces.Box(np.array([-np.inf, -3]), np.array([np.inf, 3]), dtype=np.float64),
    }

    def __init__(self, actions: str = "discrete", breaks: str = "") -> None:
        self.action_space, self.breaks = self.kinds[actions], breaks

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self._obs() if self.breaks == "reset" else (self._obs(), {})

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if not self.action_space.contains(action):
            raise ValueError(f"{action!r} is none of {self.action_space}")
        reward = float(np.ravel(action)[0] == self.wanted + 5) if not isinstance(action, dict) else 0.0
        self.steps += 1
        if self.breaks == "raises" and self.steps == 5:
            raise KeyError("lost")
        return self._obs(), reward, False, self.steps == 10, None if self.breaks == "info" else {}  # type: ignore[return-value]

    def _obs(self) -> Any:
        self.wanted = int(self.np_random.integers(3))
        return np.eye(3, dtype=np.float32)[self.wanted]


class MaskedElsewhere(Env):
    """Reports a mask for actions that take none."""

    observation_space = spaces.Discrete(2)

    def __init__(self, both: bool = False) -> None:
        box = spaces.Box(-1, 1, (2,), np.float32)
        self.action_space = spaces.Dict({"a": spaces.Discrete(2), "b": box}) if both else box

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return 0, {"action_mask": np.ones(2, np.int8)}


class Faulty(Env):
    """Breaks in the chosen way when it is given the action 1."""

    observation_space = spaces.Dict({"a": spaces.Box(-1, 1, (2,), np.float32), "b": spaces.Discrete(3)})
    action_space = spaces.Discrete(2)

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}

    def __init__(self, how: str = "", value: Any = None, render_mode: str | None = None) -> None:
        self.how, self.value, self.render_mode = how, value, render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        if self.how == "reset":
            raise RuntimeError("no way\nto begin")
        if self.how == "returns":
            return self.value
        if self.how == "first":
            return {**self._obs(), **self.value}, {}
        return self._obs(), {}

    def render(self) -> Any:
        return np.zeros((4, 4, 3), np.uint8)

    def step(self, action: Any) -> Any:
        if not action:
            return self._obs(), 0.0, False, False, {}
        obs, reward = self._obs(), 0.0
        values = {"obs": obs, "reward": reward, "terminated": False, "truncated": False, "info": {}}
        if self.how == "four":
            return obs, reward, False, {}
        if self.how in values:
            return tuple((values | {self.how: self.value}).values())
        if self.how == "raises":
            raise KeyError("lost")
        if self.how == "hangs":
            time.sleep(3600)
        if self.how == "slow":
            time.sleep(0.2)
        if self.how == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        broken = {
            "nan": {"a": np.array([0, np.nan], np.float32)},
            "shape": {"a": np.zeros(3, np.float32)},
            "dtype": {"b": 0.5},
            "range": {"b": 3},
            "bounds": {"a": np.array([0, 7], np.float32)},
        }
        obs.update(broken.get(self.how, {}))
        if self.how == "missing":
            del obs["b"]
        return obs, reward, False, False, {}

    def _obs(self) -> dict[str, Any]:
        return {"a": np.zeros(2, np.float32), "b": 1}


class BreaksOnce(RandomWalk):
    """A walk that breaks in the chosen way once the file exists, which then is gone."""

    def __init__(self, how: str, file: str) -> None:
        self.how, self.file = how, file

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        try:
            os.unlink(self.file)
        except FileNotFoundError:
            return super().step(action)
        if self.how == "raises":
            raise KeyError("lost")
        if self.how == "is out of memory":
            raise MemoryError
        if self.how == "hangs":
            time.sleep(3600)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class SlowInOnePlace(RandomWalk):
    """A walk that is slow in the first process that makes the file."""

    pid = 0

    def __init__(self, file: str) -> None:
        with suppress(FileExistsError):
            open(file, "x").close()
            SlowInOnePlace.pid = os.getpid()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if SlowInOnePlace.pid == os.getpid():
            time.sleep(0.1)  # so long that five fragments of others fit in, on a busy machine too
        return super().step(action)


class Unseeded(Env):
    """Observes what no seed decides."""

    observation_space = spaces.Box(0, np.inf, (), np.float64)
    action_space = spaces.Discrete(2)
    made = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._obs(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self._obs(), 0.0, False, False, {}

    def _obs(self) -> Any:
        Unseeded.made += 1
        return np.array(Unseeded.made, np.float64)


class DrawsElsewhere(Env):
    """Draws from a generator that all of its process shares: where it is made, at its reset, or in its third step."""

    observation_space = spaces.Box(0, 1, (1,), np.float64)
    action_space = spaces.Discrete(2, start=1)

    def __init__(self, source: str = "np.random", when: str = "reset") -> None:
        draws = {"np.random": np.random.random, "random": random.random, "os": lambda: os.urandom(1)[0] / 255}
        self.source, self.when = source, when
        self._draw = draws.get(source) or (lambda: float(sys.modules["torch"].rand(())))
        self.drawn = self._draw() if when == "making" else 0.5

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        if self.when == "reset":
            self.drawn = self._draw()
        return np.array([self.drawn]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        reward = self._draw() if self.when == "step" and self.steps == 3 else 0.0
        np.random.random()  # which changes nothing that is seen
        return np.array([self.drawn]), reward, False, False, {}


class Pausing(Counting):
    """Takes its time for each step, and does not end."""

    def __init__(self, pause_s: float) -> None:
        super().__init__(length=10**9)
        self.pause_s = pause_s

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        time.sleep(self.pause_s)
        return super().step(action)


class Pictureless(Counting):
    """Takes a render mode and ignores it."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__()


class LoadedModules(Counting):
    """Observes whether its process has imported [torch, tyro, pydantic]."""

    observation_space = spaces.MultiBinary(3)

    def _obs(self) -> Any:
        return np.array([name in sys.modules for name in ("torch", "tyro", "pydantic")], np.int8)


class Sentences(Env):
    """Observes what has no arrays of fixed size."""

    observation_space = spaces.Dict({"said": spaces.Text(5), "x": spaces.Discrete(2)})
    action_space = spaces.Discrete(2)


class Spoken(Counting):
    """Observes a text and a number."""

    observation_space = Sentences.observation_space  # type: ignore[assignment]

    def _obs(self) -> Any:
        return {"said": "word", "x": self.steps % 2}


class Sparse(RandomWalk):
    """No reward in its first steps."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        obs, _, _, _, info = super().step(action)
        return obs, 0.0, False, False, info


class Pictures(Env):
    """Observes noise as images, and takes each kind of action."""

    observation_space = spaces.Box(0, 255, (36, 40, 3), np.uint8)
    kinds: ClassVar[dict[str, Any]] = {
        "discrete": spaces.Discrete(3, start=5),
        "bits": spaces.MultiBinary(4),
        "matrix": spaces.Box(-2.0, 2.0, (2, 2), np.float64),
    }

    def __init__(self, actions: str = "discrete") -> None:
        self.action_space = self.kinds[actions]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._obs(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        return self._obs(), float(np.sum(action)), False, self.np_random.random() < 0.05, {}

    def _obs(self) -> Any:
        return self.np_random.integers(0, 256, self.observation_space.shape, np.uint8)


def make_counting(length: int = 5) -> Env:
    """A function that returns an environment."""
    return Counting(length=length, truncates=True)


def make_normalized() -> Env:
    """With a wrapper inside that keeps statistics."""
    return NormalizeReward(RandomWalk())


def make_nothing() -> None:
    """A function that forgets to return its environment."""


class Outer:
    """Holds an environment."""

    class Inner(Counting):
        """Known as `Outer.Inner`."""


def native_counting(num_envs: int, length: int = 5, max_episode_steps: int | None = None) -> SyncVectorEnv:
    """Counting as a vector class of its own, with NEXT_STEP autoreset; env n's episodes are n steps longer."""

    def make(index: int) -> Env:
        env = Counting(length=length + index, truncates=bool(index % 2))
        return env if max_episode_steps is None else TimeLimit(env, max_episode_steps)

    return SyncVectorEnv([partial(make, index) for index in range(num_envs)])


TOYS = (
    DrawsElsewhere,
    RandomWalk,
    Nested,
    Masked,
    Faulty,
    BreaksOnce,
    SlowInOnePlace,
    Unseeded,
    Pictureless,
    LoadedModules,
    Sentences,
)
for toy in (*TOYS, MaskedPair, MaskedElsewhere, Started, Pictures, Pausing):
    gym.register(f"{toy.__name__}-v0", f"tests.support.toy_envs:{toy.__name__}")
gym.register(
    "Counting-v0", "tests.support.toy_envs:Counting", vector_entry_point="tests.support.toy_envs:native_counting"
)
