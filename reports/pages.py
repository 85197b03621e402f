"""docs/algorithms/: a page for each family of algorithms and an index, from docstrings, configs and results."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

from reports.algorithms import Algorithm, find_algorithms
from reports.results import table_of
from reports.sources import ConfigField, config_fields
from training.options import as_options

FOLDER = Path("docs", "algorithms")
MADE = "<!-- `make results` writes this page from the code: change the docstrings there. -->\n"
ABOUT = """\
Each algorithm is one file, which cites its source. Its page lists its options, with their defaults, and what the
experiments that use it reach. An experiment sets other values, and so does the command line: `--agent.gamma 0.98`, or
`--algorithm.optimizer.learning-rate 1e-3` where it learns from data. `python -m experiments train NAME --help` lists
all options of an experiment.

Those that act are also trained on any environment, with defaults for its kind:
`python -m experiments train ppo --env.id MyEnv-v0`. The preset of the environment's own id is taken, otherwise that of
its family, otherwise `default`; options go before it, and `--preset NAME` takes another."""
OPTIONS = "| option | type | default | what it is |\n|---|---|---|---|\n"
FAMILIES = {
    "on_policy": (
        "On-policy",
        "They learn from rollouts of the newest policy. Actions may be discrete, multi-discrete, binary, continuous or "
        "nested; discrete ones may be masked.",
    ),
    "asynchronous": (
        "Asynchronous",
        "Workers act while the algorithm learns, so that a rollout may come from a policy that is some updates old. "
        "Actions are those of the on-policy algorithms. [Workers that do not wait](../scaling.md) tells what it costs.",
    ),
    "off_policy_values": (
        "Off-policy, values",
        "They learn the values of discrete actions, which may be masked, from replay. Replay takes returns of several "
        "steps and priorities: `--replay.n-step 3`, `--replay.priority-exponent 0.6`.",
    ),
    "off_policy_actor_critics": (
        "Off-policy, actor-critics",
        "They learn from replay to act in a bounded Box of floats; SACDiscrete takes discrete actions, which may be "
        "masked. SAC and TQC can explore with noise that depends on the state (gSDE). Replay takes returns of several "
        "steps and goals in hindsight: `--replay.n-step 3`, `--replay.hindsight-fraction 0.8`.",
    ),
    "offline": (
        "Offline",
        "They learn from a recorded dataset without acting. TD3BC, CQL and IQL take continuous actions; BC takes those "
        "of PPO, and the Decision Transformer those too, without masks.",
    ),
    "bandits": ("Bandits", "Episodes of one step without observations. The actions are arms."),
    "from_data": (
        "From data",
        "They learn from samples instead of environments. [Learning from data](../learning_from_data.md) shows how "
        "they fit together.",
    ),
    "fine_tuning": (
        "Fine-tuning",
        "They begin with what another run has learned. Adapters (finetuning/lora.py) and optimizer rules "
        "(finetuning/optimizer_rules.py) say which weights move.",
    ),
    "regimes": (
        "Regimes",
        "They call the loop more than once: clients train apart, tasks come one after the other. "
        "[Where the data are](../federated.md) and [one task after the other](../continual.md) say what for.",
    ),
    "libraries": (
        "Other libraries",
        "Algorithms of other libraries on our environments, with our run folder, log and checkpoint. They act and "
        "learn as they do there.",
    ),
}
"""The title of a family and what its algorithms have in common; the title of one that is not here is its own name."""


def pages(root: Path, reports: Sequence[Mapping[str, Any]]) -> dict[Path, str]:
    """The text of every page, by its path below `root`; nothing where there are no algorithms."""
    families = _families(root)
    made = {FOLDER / f"{family}.md": _page(family, found, reports) for family, found in families.items()}
    return {FOLDER / "README.md": _index(families), **made} if made else {}


def short_list(root: Path) -> str:
    """One line for each family, with a link to each of its algorithms; empty where there are none."""
    return "".join(
        f"- {_title(family)}: {', '.join(_link(algorithm, FOLDER.as_posix() + '/') for algorithm in found)}\n"
        for family, found in _families(root).items()
    )


def _families(root: Path) -> dict[str, list[Algorithm]]:
    """The algorithms of each family, in the order of `FAMILIES`; others come last."""
    found = {family: list(group) for family, group in groupby(find_algorithms(root), key=lambda one: one.family)}
    order = [*FAMILIES, *sorted(found.keys() - FAMILIES)]
    return {family: found[family] for family in order if family in found}


def _title(family: str) -> str:
    return FAMILIES[family][0] if family in FAMILIES else family.replace("_", " ").capitalize()


def _link(algorithm: Algorithm, folder: str = "") -> str:
    return f"[{algorithm.name}]({folder}{algorithm.family}.md#{algorithm.name.lower().replace(' ', '-')})"


def _index(families: Mapping[str, Sequence[Algorithm]]) -> str:
    parts = [f"{MADE}# Algorithms\n", f"{ABOUT}\n"]
    for family, found in families.items():
        rows = "".join(
            f"| {_link(algorithm)} | {_cell(_paragraphs(algorithm)[0])} | {_cell(algorithm.learns)} |\n"
            for algorithm in found
        )
        header = "| algorithm | what it is | how it learns |\n|---|---|---|\n"
        parts.append(f"## [{_title(family)}]({family}.md)\n\n{header}{rows}")
    return "\n".join(parts)


def _page(family: str, found: Sequence[Algorithm], reports: Sequence[Mapping[str, Any]]) -> str:
    parts = [f"{MADE}# {_title(family)}\n"]
    if family in FAMILIES:
        parts.append(f"{FAMILIES[family][1]}\n")
    parts += [_section(algorithm, reports) for algorithm in found]
    return "\n".join(parts)


def _section(algorithm: Algorithm, reports: Sequence[Mapping[str, Any]]) -> str:
    """What it is, where it is, its options, and what it reaches."""
    path = algorithm.source.path.as_posix()
    policy = f"Policy: `{algorithm.policy}`. " if algorithm.policy else ""
    facts = f"{_sentence(algorithm.learns)}{policy}File: [{path}](../../{path})."
    parts = [f"## {algorithm.name}\n", f"{algorithm.source.doc}\n", f"{facts}\n"]
    for name in algorithm.configs:
        fields = config_fields(algorithm.source, name)
        if fields:
            parts.append(f"`{name}`:\n\n{OPTIONS}{''.join(map(_row, fields))}")
    parts += [_presets(module) for module in algorithm.presets]
    results = table_of(reports, algorithm.experiments)
    if results:
        parts.append(f"What it reaches, alone or as a part of more:\n\n{results}")
    return "\n".join(parts)


def _presets(module: str) -> str:
    """The table of the script of an algorithm."""
    presets = import_module(module).PRESETS
    rows = [f"| `{name}` | `{_cell(shlex.join(as_options(values)))}` |\n" for name, values in presets.items()]
    asked = f"`train {module.rpartition('.')[2]} --env.id MyEnv-v0`"
    return f"Presets of {asked}:\n\n| preset | options that give the same |\n|---|---|\n{''.join(rows)}"


def _row(field: ConfigField) -> str:
    default = f"`{_cell(field.default)}`" if field.default else "required"
    return f"| `{field.name}` | `{_cell(field.type)}` | {default} | {_cell(field.doc)} |\n"


def _paragraphs(algorithm: Algorithm) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in algorithm.source.doc.split("\n\n")]


def _sentence(text: str) -> str:
    return f"{text} " if text else ""


def _cell(text: str) -> str:
    """Text in a cell of a table."""
    return text.replace("|", "\\|")
