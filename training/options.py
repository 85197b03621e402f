"""Options: frozen dataclasses that are read from the command line and from JSON in the same way.

Both give values by dotted key (`agent.optimizer.learning_rate`). A key must be a field of the default config, its value
must be of the field's type (pydantic), and the config is built again with `dataclasses.replace`, so that every
`__post_init__` checks it. A mistake is a `UserError` of one line.

No library for command lines does this: they read no JSON, so that there would be a second set of rules about what a
field takes, and what a person sees first (`training.option_help`) must be there before torch is imported.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from functools import partial, reduce
from operator import attrgetter, getitem
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from training.errors import UserError
from training.familiar import meant
from training.familiar import spelled as _spelled
from training.json_values import decode_free, encode_free
from training.names import nearest
from training.numbers import unscaled

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

C = TypeVar("C")
Reading: TypeAlias = "Callable[[TypeAdapter[Any]], Any]"


def parse_options(argv: Sequence[str], *configs: Any) -> list[Any]:
    """Changes the configs by options such as `--agent.horizon 64`; no name may be in two of the configs.

    An option may have a name by which it is known elsewhere (`training.familiar`), and a number letters (100k, 2.5M).
    Dashes and underscores are the same. A field of several values takes them one by one or as a JSON list, a dict or a
    dataclass takes JSON, a bool takes true, false or nothing for true, an optional field takes none.

    Raises:
        UserError: an option that no config has, or a value that its field does not take.
    """
    types = [field_types(config) for config in configs]
    values = read_values(argv, *types)
    return [_with_values(config, changes) for config, changes in zip(configs, values, strict=True)]


def read_values(argv: Sequence[str], *types: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The values that the options give to fields of these types, by dotted key, for each config; errors as above."""
    known = {name: position for position, own in enumerate(types) for name in own}
    assert len(known) == sum(map(len, types)), "an option is in two configs"
    values: list[dict[str, Any]] = [{} for _ in types]
    for name, tokens in translated(argv, known):
        position = known[name]
        values[position][name] = _read_tokens(name, types[position][name], tokens)
    return values


def translated(argv: Sequence[str], known: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Every option by its own name, with its words, where `argv` may have names by which others know it.

    Raises UserError for an option that there is not, and for one that is given twice.
    """
    known = list(known)
    found: dict[str, list[str]] = {}
    for asked, words in _grouped(argv):
        name, tokens = (asked, words) if asked in known else meant(asked, words, known) or (asked, words)
        if name not in known:
            raise UserError(f"unknown option {_spelled(name)}: {nearest(_spelled(name), map(_spelled, known))}")
        if name in found:
            raise UserError(f"{_spelled(name)} is given twice")
        found[name] = tokens
    return list(found.items())


def by_own_names(argv: Sequence[str], *configs: Any) -> list[str]:
    """The options of these configs as words of a command line, by their own names; errors as above."""
    known = [name for config in configs for name in field_types(config)]
    return [word for name, tokens in translated(argv, known) for word in as_words(name, tokens)]


def take_options(argv: Sequence[str], config: C) -> tuple[C, list[str]]:
    """Changes the config by its own options and gives back the words of all others as they are."""
    types = field_types(config)
    own: list[str] = []
    others: list[str] = []
    for name, tokens in _grouped(argv):
        (own if name in types else others).extend(as_words(name, tokens))
    return parse_options(own, config)[0], others


def as_words(name: str, tokens: Sequence[str]) -> list[str]:
    """An option with its values as words of a command line."""
    return [f"{_spelled(name)}={tokens[0]}"] if len(tokens) == 1 else [_spelled(name), *tokens]


def options_below(argv: Sequence[str], prefix: str) -> list[str]:
    """The options whose names begin with the prefix, as they are in `argv`; an option's one value is behind a `=`."""
    return [word for name, tokens in _grouped(argv) if name.startswith(prefix) for word in as_words(name, tokens)]


def changed_values(config: Any, default: Any) -> dict[str, Any]:
    """The values of `config`, by dotted key, that are others than in `default`."""
    before = values_by_key(default)
    return {name: value for name, old in before.items() if (value := attrgetter(name)(config)) != old}


def values_by_key(config: Any) -> dict[str, Any]:
    """Every value of the config by its dotted key."""
    return {name: attrgetter(name)(config) for name in field_types(config)}


def changed_options(config: Any, default: Any) -> list[str]:
    """The options by which `parse_options` makes `config` of `default`."""
    return as_options(changed_values(config, default))


def as_options(values: Mapping[str, Any]) -> list[str]:
    """The options that give a config these values by dotted key."""
    return [
        f"{_spelled(name)}={value if isinstance(value, str) else _json(name, value)}" for name, value in values.items()
    ]


def _json(name: str, value: Any) -> str:
    """A dict may be one of free values; other fields know by their type what their JSON stands for."""
    return json.dumps(encode_free(name, value) if isinstance(value, dict) else value, default=asdict)


def config_to_tree(config: Any) -> dict[str, Any]:
    """The whole config as nested dicts, which JSON can hold; `config_from_tree` gives an equal one back.

    Raises:
        UserError: names a value, such as a function among the arguments of an environment, that would not come back.
    """
    free = {
        name: encode_free(name, attrgetter(name)(config))
        for name, kind in field_types(config).items()
        if _is_free(kind)
    }
    tree = asdict(config)
    for name, value in free.items():
        *outer, last = name.split(".")
        reduce(getitem, outer, tree)[last] = value
    return tree


def _is_free(kind: Any) -> bool:
    """Whether any value may be inside, so that it is not the type that says what JSON stands for."""
    return kind is Any or any(map(_is_free, get_args(kind)))


def config_from_tree(tree: Any, default: C, *, source: str = "config.json") -> C:
    """The config that `config_to_tree` gave the tree of. A key that the tree lacks keeps its value in `default`.

    Raises:
        UserError: not a dict, an unknown key, a value of the wrong type or an impossible one.
    """
    if not isinstance(tree, dict):
        raise UserError(f"{source} holds {tree!r}: it takes an object of keys and values")
    values = {
        name: _read(name, kind, [_reading(name, kind, value)])
        for name, kind, value in _paired(default, tree, prefix="", source=source)
    }
    return _with_values(default, values)


def options_in_tree(tree: Any, default: Any, *, source: str) -> list[str]:
    """The options that give a config the values of a tree of JSON values, whole or in part.

    Raises UserError for what is no dict, and for an unknown key.
    """
    if not isinstance(tree, dict):
        raise UserError(f"{source} holds {tree!r}: it takes an object of keys and values")
    return [
        f"{_spelled(name)}={value if isinstance(value, str) else json.dumps(value)}"
        for name, _, value in _paired(default, tree, prefix="", source=source)
    ]


def config_hash(config: Any) -> str:
    """SHA-256 of the config's canonical JSON: the same for equal configs, wherever they came from."""
    canonical = json.dumps(_canonical(config_to_tree(config)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def field_types(config: Any, prefix: str = "") -> dict[str, Any]:
    """The type of every value in the config by its dotted key; a nested dataclass gives its own keys."""
    hints = get_type_hints(type(config))
    types: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            types |= field_types(value, f"{prefix}{field.name}.")
        else:
            types[prefix + field.name] = hints[field.name]
    return types


def _paired(config: Any, tree: Mapping[str, Any], *, prefix: str, source: str) -> Iterable[tuple[str, Any, Any]]:
    """Every (dotted key, type, JSON value) of the tree, which must have no keys but the config's."""
    hints = get_type_hints(type(config))
    names = [field.name for field in fields(config)]
    for name, value in tree.items():
        if name not in names:
            known = [prefix + known for known in names]
            raise UserError(f"unknown key {prefix}{name} in {source}: {nearest(prefix + name, known)}")
        default = getattr(config, name)
        if is_dataclass(default) and isinstance(value, dict):
            yield from _paired(default, value, prefix=f"{prefix}{name}.", source=source)
        else:
            yield prefix + name, hints[name], value


def _with_values(config: C, values: Mapping[str, Any], prefix: str = "") -> C:
    """Rebuilds the config from the inside out; a `__post_init__` names its own field, the prefix says where that is."""
    changes: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        head, _, rest = name.partition(".")
        if rest:
            nested.setdefault(head, {})[rest] = value
        else:
            changes[head] = value
    for head, inner in nested.items():
        changes[head] = _with_values(getattr(config, head), inner, f"{prefix}{head}.")
    try:
        return replace(config, **changes)  # type: ignore[type-var]
    except UserError as error:
        if error.key is None:
            raise
        raise UserError(f"{prefix}{error}", key=prefix + error.key) from None


def _grouped(argv: Sequence[str]) -> Iterable[tuple[str, list[str]]]:
    """Every option's name, as the config spells it, with the tokens up to the next option."""
    groups: list[tuple[str, list[str]]] = []
    for token in argv:
        if token.startswith("--"):
            name, equals, value = token[2:].partition("=")
            groups.append((name.replace("-", "_"), [value] if equals else []))
        elif groups:
            groups[-1][1].append(token)
        else:
            raise UserError(f"unexpected {token!r}: options are written --name value")
    return groups


def _read_tokens(name: str, kind: Any, tokens: list[str]) -> Any:
    """The value that a field gets from its tokens: JSON, or plain words (`adam`, `True`), or a number such as `1e6`."""
    several = any(get_origin(member) in (tuple, list) for member in members(kind))
    if bool in members(kind) and not tokens:
        return True
    if not tokens or (len(tokens) > 1 and not several):
        takes = "one or more values, or '[]' for none" if several else "one value"
        raise UserError(f"{_spelled(name)} is given {' '.join(tokens) or 'nothing'}: it takes {takes}")
    if type(None) in members(kind) and tokens[0].lower() in ("none", "null"):
        return None
    one_by_one = several and not tokens[0].startswith("[")
    if _takes_numbers(kind):
        tokens = [",".join(map(unscaled, token.split(","))) for token in tokens]
    text = f"[{','.join(tokens)}]" if one_by_one else tokens[0]
    plain = tokens if one_by_one else tokens[0]
    attempts: list[Reading] = [partial(_strict, text=text), lambda adapter: adapter.validate_python(plain)]
    if all(_is_number(token) for token in tokens):
        attempts.append(lambda adapter: adapter.validate_json(text))
    found = _read(name, kind, attempts)
    return decode_free(name, found) if _is_free(kind) else found


def _read(name: str, kind: Any, attempts: Sequence[Reading]) -> Any:
    """The first reading that succeeds, else the complaint of the first that was not about JSON's own grammar."""
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(kind)
    errors = []
    for attempt in attempts:
        try:
            return attempt(adapter)
        except ValidationError as error:
            errors.append(error)
        except UserError as error:  # of the __post_init__ of a dataclass inside the value
            raise UserError(f"{name}: {error}") from None
    telling = [error for error in errors if error.errors()[0]["type"] != "json_invalid"]
    raise UserError(_complaint(name, kind, telling[0]))


def _reading(name: str, kind: Any, value: Any) -> Reading:
    """How the JSON value of a field becomes its value."""
    if not _is_free(kind):
        return partial(_strict, text=json.dumps(value))
    decoded = decode_free(name, value)
    return lambda adapter: adapter.validate_python(decoded, strict=True)


def _strict(adapter: TypeAdapter[Any], text: str) -> Any:
    return adapter.validate_json(text, strict=True, extra="forbid")


def _complaint(name: str, kind: Any, error: ValidationError) -> str:
    """One line for pydantic's error: the key, the value and what the key takes."""
    details = error.errors()
    alternatives = len([member for member in members(kind) if member is not type(None)]) > 1
    place = () if alternatives else details[0]["loc"]
    key = name + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    if details[0]["type"] == "unexpected_keyword_argument":
        return f"unknown key {key}"
    told = details if alternatives else details[:1]
    takes = [re.sub("^Input should be |, (unable to|got) .*", "", detail["msg"]) for detail in told]
    if type(None) in members(kind):
        takes.append("none")
    return f"{key} = {details[0]['input']!r}: it takes {' or '.join(dict.fromkeys(takes))}"


def members(kind: Any) -> tuple[Any, ...]:
    """The members of a union; any other type is its own only member."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _takes_numbers(kind: Any) -> bool:
    """Whether numbers are meant, alone or in a list, and never a text that looks like one."""
    if get_origin(kind) in (Union, UnionType, tuple, list):
        inner = [_takes_numbers(part) for part in get_args(kind)]
        return any(inner) and str not in get_args(kind)
    return kind in (int, float)


def _is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def _canonical(value: Any) -> Any:
    """Numbers that are equal get one spelling: a field of type float may hold 1 or 1.0."""
    if isinstance(value, dict):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
