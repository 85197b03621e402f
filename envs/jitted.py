"""An environment of your own at the speed of C: its step is a function of numbers, which Numba compiles.

    class Drift(JittedEnv):
        observation_space = spaces.Box(-10, 10, (2,), np.float32)
        action_space = spaces.Discrete(3)
        max_episode_steps = 200

        @staticmethod
        def first_state(generator):           # where an episode begins: numbers [S]
            return generator.uniform(-1, 1, 2)

        @staticmethod
        def advance(state, action):           # changes the state in place
            state[1] += 0.1 * (action - 1)
            state[0] += 0.1 * state[1]
            return -abs(state[0]), abs(state[0]) > 10   # reward, terminated

        @staticmethod
        def observe(state, obs):              # fills in what is seen
            obs[:] = state

It is an environment of Gymnasium like any other, exact and resumable. Many copies are stepped by one compiled loop, and
with the policy in it where that is a perceptron. Without Numba (extra `jit`) the same functions run as Python.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec, load_env_creator
from numpy.typing import NDArray

from envs.vectors.batched import OBSERVE, STEP, Dynamics, Float
from envs.vectors.vector import EnvFault
from training.errors import UserError, require


class JittedEnv(gym.Env[NDArray[np.float32], Any]):
    """The base of such an environment. Its functions use what Numba knows: numbers, arrays, `math` and `numpy`."""

    observation_space: ClassVar[spaces.Box]  # type: ignore[misc]
    """A vector of float32."""
    action_space: Any
    """Discrete from 0 on, where an action is an integer, or a vector of float32."""
    max_episode_steps: ClassVar[int | None] = None
    """Where it is not registered; a registration says it itself."""
    is_jitted: ClassVar[bool] = True

    @staticmethod
    def first_state(generator: np.random.Generator) -> Any:
        """Where an episode begins: float64 [S], drawn from the generator. This one is not compiled."""
        raise NotImplementedError

    @staticmethod
    def advance(state: Float, action: Any) -> tuple[float, bool]:
        """Takes `state` [S] one step further, in place; returns the reward and whether the episode has ended."""
        raise NotImplementedError

    @staticmethod
    def observe(state: Float, obs: NDArray[np.float32]) -> None:
        """Writes what is seen of `state` [S] into `obs`."""
        raise NotImplementedError

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        self.state = np.array(self.first_state(self.np_random), np.float64)
        return self._seen(), {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        advance, _ = self._functions()
        reward, terminated = advance(self.state, action)
        return self._seen(), float(reward), bool(terminated), False, {}

    def _functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        own: Any = type(self)
        return _compiled(own, checks=True) or (self.advance, self.observe)

    def _seen(self) -> NDArray[np.float32]:
        _, observe = self._functions()
        obs = np.zeros(self.observation_space.shape, np.float32)
        observe(self.state, obs)
        return obs


def has_numba() -> bool:
    """Whether such environments are compiled here."""
    return find_spec("numba") is not None


def jitted_class(spec: EnvSpec) -> type[Any] | None:
    """The JittedEnv that a specification makes; None where it makes another environment, or changes what this one is:
    by wrappers, arguments, a constructor, or another `step` or `reset`."""
    make: Any = spec.entry_point
    if isinstance(make, str):
        with suppress(Exception):  # what is wrong with it is told where it is made
            make = load_env_creator(make)
    if spec.additional_wrappers or spec.kwargs or not (isinstance(make, type) and issubclass(make, JittedEnv)):
        return None
    own = ("__init__", "step", "reset")
    return make if all(getattr(make, name) is getattr(JittedEnv, name) for name in own) else None


@cache
def dynamics_of(env: Any) -> Dynamics:
    """A JittedEnv as one that is stepped in many copies, by Numba.

    Raises:
        UserError: spaces that it cannot be; functions that Numba does not take, with what it says.
    """
    size, action_size = _sizes(env)
    kind = np.int64 if action_size == 0 else np.float32
    loops = _loops(env, size, action_size)
    step, observe = STEP(loops[0].address), OBSERVE(loops[1].address)

    def transition(state: Float, action: NDArray[Any]) -> tuple[Float, Float, NDArray[np.bool_]]:
        moved, num_envs = state.copy(order="C"), state.shape[1]
        reward, terminated = np.empty(num_envs), np.empty(num_envs, np.bool_)
        taken = np.ascontiguousarray(action, kind)
        step(num_envs, *map(_at, (moved, taken, reward, terminated)))
        if not np.isfinite(reward).all():
            raise EnvFault(f"{env.__module__}:{env.__name__}: advance raised, or gave numbers that are not finite")
        return moved, reward, terminated

    def seen(state: Float) -> NDArray[np.float32]:
        state = np.ascontiguousarray(state)
        obs = np.zeros((state.shape[1], *env.observation_space.shape), np.float32)
        observe(state.shape[1], state.shape[1], _at(state), _at(obs))
        if not np.isfinite(obs).all():
            raise EnvFault(f"{env.__module__}:{env.__name__}: observe gave numbers that are not finite")
        return obs

    return Dynamics(
        observation_space=env.observation_space,
        action_space=env.action_space,
        initial_state=lambda generator: np.array(env.first_state(generator), np.float64),
        transition=transition,
        observe=seen,
        compiled=lambda: (loops[0].address, loops[1].address),
    )


@cache
def _compiled(env: Any, *, checks: bool) -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    """`advance` and `observe` as Numba compiles them, so that one copy rounds as many do; None without Numba."""
    if not has_numba():
        return None
    from numba import njit

    # A copy alone, as `check` and `play` have it, tells of an index out of range; in a loop it would write elsewhere.
    compile_it = njit(error_model="numpy", boundscheck=checks)
    return compile_it(env.advance), compile_it(env.observe)


def _sizes(env: Any) -> tuple[int, int]:
    """How many numbers a state has, and an action; 0 for an integer."""
    seen, done = env.observation_space, env.action_space
    vector = isinstance(seen, spaces.Box) and len(seen.shape) == 1 and seen.dtype == np.float32
    require(vector, "observation_space", seen, "a Box of float32 of one dimension in a JittedEnv")
    discrete = isinstance(done, spaces.Discrete) and done.start == 0
    box = isinstance(done, spaces.Box) and len(done.shape) == 1 and done.dtype == np.float32
    require(discrete or box, "action_space", done, "Discrete from 0 on, or a Box of float32 of one dimension")
    state = np.array(env.first_state(np.random.default_rng(0)), np.float64)
    require(state.ndim == 1, "first_state", state, "numbers one after another, [S]")
    return len(state), 0 if discrete else int(done.shape[0])


def _loops(env: Any, size: int, action_size: int) -> tuple[Any, Any]:
    """The loops over the copies, as functions of C."""
    import numba
    from numba.core.errors import NumbaError

    library: Any = numba  # without types
    carray, cfunc, types = library.carray, library.cfunc, library.types

    compiled = _compiled(env, checks=False)
    assert compiled is not None
    advance, observe = compiled
    obs_size = env.observation_space.shape[0]
    int64, doubles, floats = types.int64, types.CPointer(types.float64), types.CPointer(types.float32)
    actions_are = types.CPointer(int64) if action_size == 0 else floats

    def step(count, states, actions, rewards, ends):  # type: ignore[no-untyped-def]
        state, reward, end = carray(states, (size, count)), carray(rewards, (count,)), carray(ends, (count,))
        action = carray(actions, (count,) if action_size == 0 else (count, action_size))
        own = np.empty(size)  # one after another, as a copy alone has them
        reward[:] = np.nan  # so it stays where a step raises, which a function of C cannot tell
        for n in range(count):
            own[:] = state[:, n]
            reward[n], end[n] = advance(own, action[n])
            state[:, n] = own

    def see(count, stride, states, seen):  # type: ignore[no-untyped-def]
        state, obs = carray(states, (size, stride)), carray(seen, (count, obs_size))
        own = np.empty(size)
        for n in range(count):
            own[:] = state[:, n]
            observe(own, obs[n])

    step_is = types.void(int64, doubles, actions_are, doubles, types.CPointer(types.boolean))
    see_is = types.void(int64, int64, doubles, floats)
    try:
        return cfunc(step_is, error_model="numpy")(step), cfunc(see_is, error_model="numpy")(see)
    except NumbaError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = "; ".join(line for line in lines if not line.startswith(("During", "Failed", "- ")))[:300]
        raise UserError(f"{env.__module__}:{env.__name__}: Numba does not compile its functions: {told}") from error


def _at(array: NDArray[Any]) -> int:
    return array.ctypes.data
