"""Values as JSON that gives equal ones back.

It is plain JSON, where an object with one key that starts with a dollar sign stands for what JSON lacks:

| object | value |
|---|---|
| `{"$int": "-0x1f"}` | an integer that needs more than 53 bits |
| `{"$float": "7ff0000000000000"}` | the 8 bytes (big endian) of a float that is not finite |
| `{"$tuple": [...]}` | a tuple |
| `{"$dict": [[key, value], ...]}` | a dict with keys that are no strings or start with a dollar sign |
| `{"$scalar": ["float32", value]}` | a NumPy scalar, in a config |
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from training.errors import UserError

_EXACT_JSON_INTEGERS = 2**53  # beyond it, readers that hold JSON numbers as floats round


def encode(value: Any, path: str, other: Callable[[Any, str], Any]) -> Any:
    """The value as JSON.

    Args:
        value: None, bool, int, float, str, and lists, tuples and dicts of them.
        path: where it is, dotted.
        other: gives an object, with a tag of its own, for anything else at a path, or raises.

    Raises:
        TypeError: a key of a dict that is neither a string nor an integer.
    """
    # Exact types: a subclass (an enum, a NumPy scalar) would come back as something else.
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return value if abs(value) <= _EXACT_JSON_INTEGERS else {"$int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$float": struct.pack(">d", value).hex()}
    if kind is list:
        return [encode(item, f"{path}.{index}", other) for index, item in enumerate(value)]
    if kind is tuple:
        return {"$tuple": encode(list(value), path, other)}
    if isinstance(value, dict):
        return _encode_dict(value, path, other)
    return other(value, path)


def _encode_dict(value: dict[Any, Any], path: str, other: Callable[[Any, str], Any]) -> dict[str, Any]:
    for key in value:
        if type(key) not in (str, int):
            raise TypeError(f"{path} has the key {key!r} of type {type(key).__name__}: keys are str or int")
    items = {key: encode(item, f"{path}.{key}", other) for key, item in value.items()}
    if all(isinstance(key, str) and not key.startswith("$") for key in items):
        return items
    return {"$dict": [[encode(key, path, other), item] for key, item in items.items()]}


def decode(node: Any, other: Callable[[str, Any], Any]) -> Any:
    """The inverse of `encode`; `other` gives the value of a tag of its own. Raises ValueError for a damaged object."""
    if isinstance(node, list):
        return [decode(item, other) for item in node]
    if not isinstance(node, dict):
        return node
    tag: str | None
    value: Any
    tag, value = next(iter(node.items())) if len(node) == 1 else (None, None)
    match tag:
        case "$int":
            return int(value, 16)
        case "$float":
            return struct.unpack(">d", bytes.fromhex(value))[0]
        case "$tuple":
            return tuple(decode(value, other))
        case "$dict":
            return {decode(key, other): decode(item, other) for key, item in value}
        case str() if tag.startswith("$"):
            return other(tag, value)
    return {key: decode(item, other) for key, item in node.items()}


def encode_free(name: str, value: Any) -> Any:
    """A value of a config whose field takes any, such as the arguments of an environment, as JSON.

    Raises:
        UserError: names what of it `decode_free` would not give back: a function, an object, an enum.
    """

    def other(value: Any, path: str) -> Any:
        if isinstance(value, np.generic) and type(value.item()) in (bool, int, float):
            return {"$scalar": [value.dtype.name, encode(value.item(), path, other)]}
        takes = "bool, int, float, str, None, NumPy scalars, and lists, tuples and dicts of them"
        raise UserError(f"{path} = {value!r}: it takes {takes}, which config.json can give back")

    try:
        encoded = encode(value, name, other)
    except TypeError as error:  # of a key
        raise UserError(f"{error}, which config.json can give back") from None
    if isinstance(value, dict):
        for key in value:
            if type(key) is not str:
                raise UserError(f"{name} has the key {key!r}: it takes the names of arguments")
    return encoded


def decode_free(name: str, node: Any) -> Any:
    """The inverse of `encode_free`. Raises UserError for JSON that it does not give."""

    def other(tag: str, value: Any) -> Any:
        if tag != "$scalar":
            return {tag: decode(value, other)}
        kind, number = value
        return np.dtype(kind).type(decode(number, other))

    try:
        return decode(node, other)
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{name} = {node!r}: an object with a dollar sign takes what config.json has ({error})"
        ) from None
