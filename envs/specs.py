"""What Gymnasium must know of an environment, by the id that a config has for it.

| id | environment |
|---|---|
| `CartPole-v1` | registered with Gymnasium; the packages that envs/importing.py knows are imported for their ids |
| `package.module:Env-v0` | registered once the module has been imported |
| `package.module:Env` | a class of gymnasium.Env, or a function that returns one, in the module |
| `package.module:parallel_env` | a function with which a module of PettingZoo's makes a match of several agents |
| `__main__:Env` | one of a script, a notebook or a function, which only the process knows that has run it |
"""

from __future__ import annotations

import functools
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from envs.importing import import_or_complain, module_of
from envs.multi_agent import MAKER, Match, is_parallel
from training.errors import UserError, require
from training.names import find_object, nearest_hint

MakeEnv = Callable[..., gym.Env[Any, Any]]
"""A class of gymnasium.Env, or a function that returns one."""

_OF_THIS_PROCESS: dict[str, MakeEnv] = {}
"""By its id, what has been given as an object and no other process could import."""


def find_spec(env_id: str) -> EnvSpec:
    """What Gymnasium must know of an id; raises UserError for an unknown one, with the nearest known name."""
    if env_id in _OF_THIS_PROCESS:
        return _spec_of(env_id, _OF_THIS_PROCESS[env_id])
    module_name, _, name = env_id.rpartition(":")
    require(not module_name.startswith("."), "id", env_id, "a module's whole name before the colon")
    module_name = module_name or module_of(name)
    module = import_or_complain(module_name, "id", env_id) if module_name else None
    spec = gym.registry.get(name)
    if spec is not None:
        return spec
    if module is not None and (found := find_object(module, name)) is not None:
        takes = f"the name of a class of gymnasium.Env, or of a function that returns one; {found!r} is neither"
        require(_makes_envs(found), "id", env_id, takes)
        return _spec_of(env_id, found)
    raise UserError(f"id = {env_id!r}: {_unknown(name, module)}", key="id")


def id_of(env: MakeEnv) -> str:
    """The id of an environment that is given as an object.

    What another process can import gets `module:Name`. Anything else is registered for this process alone, as
    `__main__:Name`: of a script or a notebook under what its name means now, and of a function with a number where
    several are called the same. Raises UserError for what makes no environments.
    """
    takes = "an id, a class of gymnasium.Env, a function that returns one, or an EnvConfig"
    require(not isinstance(env, gym.Env), "env", env, f"{takes}: its class, not an instance")
    require(not isinstance(env, functools.partial), "env", env, f"{takes}: arguments go into kwargs")
    require(_makes_envs(env) and hasattr(env, "__qualname__"), "env", env, takes)
    module, name = env.__module__, env.__qualname__
    importable = module != "__main__" and module in sys.modules and name not in gym.registry
    if importable and find_object(sys.modules[module], name) is env:
        return f"{module}:{name}"
    plain = re.sub(r"[^\w.]", "", name.replace(".<locals>", ""))
    if module == "__main__" and plain == name:
        own = f"__main__:{name}"
    else:
        own = next(one for one in _numbered(f"__main__:{plain}") if _OF_THIS_PROCESS.get(one, env) is env)
    _OF_THIS_PROCESS[own] = env
    return own


def known_here_alone(env_id: str) -> bool:
    """Whether no other process can find the environment of this id."""
    return env_id in _OF_THIS_PROCESS


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}.{number}" for number in itertools.count(2))


def _makes_envs(found: Any) -> bool:
    return issubclass(found, gym.Env) or is_parallel(found) if inspect.isclass(found) else callable(found)


def of_agents(spec: EnvSpec) -> bool:
    """Whether it is a match of several agents."""
    return isinstance(spec.entry_point, functools.partial) and spec.entry_point.func is _made_match


def _spec_of(env_id: str, make: MakeEnv) -> EnvSpec:
    if is_parallel(make) or env_id.rpartition(":")[2] == MAKER:
        return EnvSpec(env_id, functools.partial(_made_match, env_id, make))
    if not inspect.isclass(make):
        return EnvSpec(env_id, functools.partial(_made, env_id, make))
    # A dataset can tell of what can be imported.
    entry_point: Any = env_id if env_id not in _OF_THIS_PROCESS and "." not in make.__qualname__ else make
    own: Any = make
    limit = own.max_episode_steps if getattr(make, "is_jitted", False) else None  # a JittedEnv has its own
    is_one = limit is None or (type(limit) is int and limit >= 1)
    require(is_one, f"{make.__qualname__}.max_episode_steps", limit, "a whole number of at least 1, or None")
    return EnvSpec(env_id, entry_point, max_episode_steps=limit)


def _made(env_id: str, make: MakeEnv, **kwargs: Any) -> gym.Env[Any, Any]:
    env: Any = make(**kwargs)
    if is_parallel(env):
        raise UserError(
            f"env.id = {env_id!r}: give a function that makes a match of several agents by its id, 'module:{MAKER}'"
        )
    if not isinstance(env, gym.Env):
        raise UserError(f"env.id = {env_id!r}: it takes a function that returns a gymnasium.Env, not {env!r}")
    return env


def _made_match(env_id: str, make: Callable[..., Any], **kwargs: Any) -> Match:
    env = make(**kwargs)
    if not is_parallel(env):
        raise UserError(f"env.id = {env_id!r}: {MAKER} takes to return a pettingzoo.ParallelEnv, not {env!r}")
    return Match(env, env_id)


def _unknown(name: str, module: ModuleType | None) -> str:
    """The complaint about a name that nothing has."""
    if module is None or not re.fullmatch(r"[A-Za-z_][\w.]*", name):
        return f"no environment is registered under this name{nearest_hint(name, gym.registry)}"
    if module.__name__ == "__main__":
        return (
            "it was defined in a script, a notebook or a function, which this process has not run; run that, or move "
            "it to the top of a module and give module:Name"
        )
    own = [key for key, value in vars(module).items() if inspect.isclass(value) and issubclass(value, gym.Env)]
    what = f"{module.__name__} has nothing of this name, and no environment is registered under it"
    return what + nearest_hint(name, [*own, *gym.registry])
