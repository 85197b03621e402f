"""How a run is run again: what it changed of its experiment's default, and the commands."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from types import ModuleType
from typing import Any

from agents.recipes.presets import Default, default_config, has_presets
from reports.html.asked import Again
from training.errors import UserError
from training.experiments import read_run
from training.options import as_options, changed_options, changed_values, values_by_key


def again_of(folder: Path, package: str) -> Again:
    """What only the run's experiment can tell of it; where that does not know it any more, why not."""
    try:
        settings, experiment, config = read_run(folder, package)
        default = _default(experiment, config, settings)
    except UserError as error:
        return Again(unknown=str(error))
    name, preset = settings["experiment"], settings.get("chosen", {}).get("preset")
    own = values_by_key(default.config)
    changed = {key: value for key, value in changed_values(config, default.config).items() if key != "seed"}
    return Again(
        default=f"the preset {preset} of {name}" if preset else f"the default of {name}",
        changed=[(key, _shown(own.get(key)), _shown(value)) for key, value in sorted(changed.items())],
        commands=_commands(settings, default, config, package),
        has_policy=hasattr(config, "env"),
    )


def _default(experiment: ModuleType, config: Any, settings: dict[str, Any]) -> Default:
    """That of the run's preset, where its experiment has presets."""
    words = []
    if has_presets(experiment):
        preset = settings.get("chosen", {}).get("preset")
        words = ["--env.id", config.env.id, *(["--preset", preset] if preset else [])]
    with redirect_stderr(io.StringIO()):  # which preset it is stands on the page
        return default_config(experiment, words)


def _commands(settings: dict[str, Any], default: Default, config: Any, package: str) -> Sequence[str]:
    """What trains the run, after its ancestors: a child goes on with what its parent came to."""
    parent = settings["parent"]
    if parent is None:
        options = [*default.options, *as_options({"seed": config.seed} | changed_values(config, default.config))]
        return [_line("train", settings["experiment"], *options)]
    try:
        above, _, other = read_run(Path(parent), package)
    except UserError as error:
        return [f"# it goes on from {parent}, which is not here: {error}".replace("\n", " ")]
    before = again_of(Path(parent), package).commands
    told = f"  # {above['experiment']} of seed {above['seed']}"
    return [*before, _line("resume", parent, *changed_options(config, other)) + told]


def _line(*words: str) -> str:
    return shlex.join(["python", "-m", "experiments", *words])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
