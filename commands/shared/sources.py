"""Options from elsewhere than the command line: a file, or what another run changed."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from training.errors import UserError
from training.experiments import read_run
from training.options import (
    as_options,
    as_words,
    changed_values,
    field_types,
    options_in_tree,
    take_options,
    translated,
)
from training.run.runs import find_run


@dataclass(frozen=True)
class SourceOptions:
    """Where options come from that are not in the command line, which wins over both."""

    config: str | None = None
    """A file with options, whole or in part: JSON as in config.json, TOML or YAML. The config.json of a run does."""
    set_from: str | None = None
    """A run, whose changes of its experiment's defaults are taken over, over those of a file."""


def with_sources(argv: Sequence[str], own: Sequence[Any], experiment: ModuleType, package: str) -> list[str]:
    """The options of `argv`, by their own names, and before them those of its --config and --set-from.

    Args:
        argv: the options of a command that trains.
        own: the command's own options, beside those of the config; here they stay as they are.
        experiment: whose config it is.
        package: where the experiments are.

    Raises:
        UserError: a file or a run that cannot be read, or an option that the experiment has not.
    """
    sources, rest = take_options(argv, SourceOptions())
    config = experiment.Config()
    options = dict(translated(rest, [*(name for one in own for name in field_types(one)), *field_types(config)]))
    for words in (_of_run(sources.set_from, config, package), _of_file(sources.config, config)):
        found = translated(words, field_types(config))
        options = {name: [_one_value(token) for token in tokens] for name, tokens in found} | options
    return [word for name, tokens in options.items() for word in as_words(name, tokens)]


def _one_value(token: str) -> str:
    """A text with a comma in it as JSON: in a file, or a run, it is no list of values."""
    return json.dumps(token) if "," in token and not token.startswith(("[", "{", '"')) else token


def _of_file(name: str | None, config: Any) -> list[str]:
    if name is None:
        return []
    tree = _read(Path(name))
    if isinstance(tree, dict) and {"experiment", "config"} <= tree.keys():  # a run's config.json
        tree = tree["config"]
    return options_in_tree(tree, config, source=name)


def _of_run(word: str | None, config: Any, package: str) -> list[str]:
    if word is None:
        return []
    folder = find_run(word)
    settings, other, its_config = read_run(folder, package)
    changed = changed_values(its_config, other.Config())
    for key in changed:
        if key not in field_types(config):
            raise UserError(f"{folder} changed {key} of {settings['experiment']}, which this experiment has not")
    words = as_options(changed)
    print(f"from {folder}: {' '.join(words) or 'nothing, it has the defaults'}", file=sys.stderr)
    return words


def _read(file: Path) -> Any:
    readers: Mapping[str, Callable[[str], Any]] = {
        ".json": json.loads,
        ".toml": tomllib.loads,
        ".yaml": _read_yaml,
        ".yml": _read_yaml,
    }
    if file.suffix not in readers:
        raise UserError(f"config = {str(file)!r}: it takes a file that ends in {', '.join(readers)}")
    try:
        return readers[file.suffix](file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"config = {str(file)!r}: it cannot be read ({error.strerror})") from None
    except ValueError as error:
        told = " ".join(str(error).split())
        raise UserError(f"config = {str(file)!r}: it is not {file.suffix[1:].upper()} ({told})") from None


def _read_yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(error) from None
