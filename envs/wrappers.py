"""Wrappers from a config, each one word: `TimeAwareObservation`, `my.wrappers:Bonus(scale=0.1)`, or a stack's name.

A word is the name of a wrapper of Gymnasium's, of a stack (envs/stacks.py), or the import path of a class of
gymnasium.Wrapper or of a function from an environment to one. Arguments are Python literals by keyword; nothing of a
word is evaluated.
"""

from __future__ import annotations

import ast
import inspect
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
from gymnasium import wrappers as of_gymnasium

from envs.importing import import_or_complain
from envs.stacks import STACKS
from training.errors import UserError
from training.names import find_object, nearest_hint

Env = gym.Env[Any, Any]


class Word(NamedTuple):
    """One word of `env.wrappers`, read."""

    text: str
    wrap: Callable[..., Env]
    arguments: Mapping[str, Any]


def read_word(text: str) -> Word:
    """Raises UserError where it names no wrapper, or its arguments are not those that this takes."""
    match = re.fullmatch(r"\s*([\w.]+(?::[\w.]+)?)\s*(\(.*\))?\s*", text, re.DOTALL)
    if match is None:
        raise _mistake(f"{text!r} takes the form Name, module:Name or Name(argument=value)")
    name, call = match.groups()
    wrap, arguments = _find(name), _arguments(text, call or "()")
    _check(text, wrap, arguments)
    return Word(text, wrap, arguments)


def wrapped(env: Env, words: Sequence[str], env_id: str) -> Env:
    """The environment in its wrappers, the first word innermost; raises UserError where one does not fit it."""
    for text in words:
        word = read_word(text)
        try:
            env = word.wrap(env, **word.arguments)
        except UserError:
            raise
        except Exception as error:
            told = traceback.format_exception_only(error)[0].split("\n", 1)[0]
            raise UserError(f"env.wrappers: {text!r} does not fit {env_id} ({told})") from error
        if not isinstance(env, gym.Env):
            raise UserError(f"env.wrappers: {text!r} takes a function that returns a gymnasium.Env, not {env!r}")
    return env


def _find(name: str) -> Callable[..., Env]:
    module_name, _, inside = name.rpartition(":")
    if module_name:
        try:
            module = import_or_complain(module_name, "wrappers", name)
        except UserError as error:
            raise _mistake(str(error).partition(" = ")[2]) from error
        found = find_object(module, inside)
        known = [key for key, value in vars(module).items() if _is_wrapper(value)]
        missing = f"{name!r}: {module_name} has nothing of this name{nearest_hint(inside, known)}"
    else:
        found = STACKS.get(name) or _of_gymnasium(name)
        known = [*STACKS, *(key for key in of_gymnasium.__all__ if key != "vector")]
        missing = f"{name!r} is neither a wrapper of Gymnasium's nor a stack ({', '.join(STACKS)}), and has no module"
        missing += nearest_hint(name, known)
    if found is None:
        raise _mistake(missing)
    if not (_is_wrapper(found) if inspect.isclass(found) else callable(found)):
        raise _mistake(f"{name!r} is {found!r}: it takes a class of gymnasium.Wrapper, or a function that wraps")
    return found  # type: ignore[no-any-return]


def _of_gymnasium(name: str) -> Any:
    try:
        return getattr(of_gymnasium, name) if name in of_gymnasium.__all__ and name != "vector" else None
    except (ImportError, gym.error.DependencyNotInstalled) as error:
        raise _mistake(f"{name!r} lacks a package ({str(error).splitlines()[0]})") from error


def _is_wrapper(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, gym.Wrapper)


def _arguments(text: str, call: str) -> dict[str, Any]:
    try:
        parsed = ast.parse(f"_{call}", mode="eval").body
        assert isinstance(parsed, ast.Call)
        assert not parsed.args
        return {_name(keyword): ast.literal_eval(keyword.value) for keyword in parsed.keywords}
    except (SyntaxError, ValueError, AssertionError, MemoryError, RecursionError):
        takes = "arguments by keyword that are Python literals, such as Name(scale=0.1, shape=(84, 84))"
        raise _mistake(f"{text!r} takes {takes}") from None


def _name(keyword: ast.keyword) -> str:
    assert keyword.arg is not None  # it is ** otherwise
    return keyword.arg


def _check(text: str, wrap: Callable[..., Env], arguments: Mapping[str, Any]) -> None:
    """Raises UserError for an argument that it does not take, and for one that it lacks."""
    try:
        signature = inspect.signature(wrap)
    except ValueError:  # of something that is not written in Python
        return
    try:
        signature.bind(None, **arguments)
    except TypeError as error:
        known = list(signature.parameters)[1:]
        unknown = [name for name in arguments if name not in known]
        told = f"it has no argument {unknown[0]!r}{nearest_hint(unknown[0], known)}" if unknown else str(error)
        takes = f"; it takes {', '.join(known)}" if known else "; it takes none"
        raise _mistake(f"{text!r}: {told}{takes}") from None


def _mistake(told: str) -> UserError:
    return UserError(f"wrappers: {told}", key="wrappers")
