"""Presets: the default values of an algorithm's config for a kind of environment, as a table in its script.

A script below experiments/ that assigns `PRESETS` trains one algorithm on the environment that --env.id names. It has

    ACTIONS = "discrete"                                  # or "continuous", or "any": what the algorithm takes
    PRESETS: Presets = {"default": {"agent.gamma": 0.99}, "box2d": {...}, "CartPole-v1": {...}}

Each preset alone is put over the values of its `Config`, by the keys of the command line. That of the environment's
own id is taken, otherwise that of its family, otherwise `default`; options of the command line go before all of them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, TypeAlias

from envs.config import EnvConfig
from envs.families import DEFAULT, Kind, kind_of
from training.errors import UserError, require
from training.experiments import constant_of, find_scripts
from training.names import nearest
from training.options import changed_options, changed_values, options_below, parse_options

Preset: TypeAlias = "Mapping[str, Any]"
Presets: TypeAlias = "Mapping[str, Preset]"
Actions: TypeAlias = Literal["discrete", "continuous", "any"]
ATARI: Preset = {
    "env.wrappers": ("atari",),
    "clip_reward": True,
    "env_steps": 10_000_000,
    "evaluation.every.count": 500_000,
    "evaluation.episodes": 10,
    "evaluation.final_episodes": 50,
}
"""Of every algorithm's preset for Atari games: the published preprocessing, and RL Zoo's budget."""
MINIGRID: Preset = {
    "env.wrappers": ("minigrid",),
    "policy.network.cnn": "small",
    "env_steps": 1_000_000,
    "evaluation.every.count": 50_000,
}
"""Of every algorithm's preset for MiniGrid: cells as channels of a small image."""
MINATAR: Preset = {
    "policy.network.cnn": "minatar",
    "env_steps": 2_000_000,
    "evaluation.every.count": 200_000,
}
"""Of every algorithm's preset for MinAtar: the convolutions of Young and Tian 2019, and two million env steps."""
AUTO = "auto"
TAKES = {"discrete": "Discrete actions", "continuous": "actions in a bounded Box of floats"}
WHAT_IT_IS_ABOUT = ("env.id", "env.kwargs", "env.observation_indices", "seed")
"""Of an experiment's config: no part of the numbers that another one takes from it."""


@dataclass(frozen=True)
class PresetOptions:
    """Where the defaults come from."""

    preset: str = AUTO
    """One of the algorithm's presets; auto: the environment's own, otherwise that of its family, otherwise default."""


@dataclass(frozen=True)
class Default:
    """The config that options change, and what it was chosen by."""

    config: Any
    asks: tuple[PresetOptions, ...] = ()
    """The options that chose it, which are no part of the config."""
    options: tuple[str, ...] = ()
    """Those that give it again."""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """What a run records."""


def default_config(experiment: ModuleType, argv: Sequence[str]) -> Default:
    """An experiment's own config; of the script of an algorithm, that for the environment in the options.

    The options are by their own names (`by_own_names`).

    Says on stderr which preset was taken.

    Raises:
        UserError: no --env.id, an environment that cannot be made or whose actions the algorithm does not take, or an
            unknown preset.
    """
    own = experiment.Config()
    if not has_presets(experiment):
        return Default(own)
    name = experiment.__name__.rpartition(".")[2]
    asked_env = options_below(argv, "env.")
    if not options_below(asked_env, "env.id"):
        takes = "--env.id Pendulum-v1, or --env.id package.module:Env-v0 for one of your own"
        raise UserError(f"{name} takes the environment that it is to learn: {takes}")
    (in_env,) = parse_options(asked_env, own)
    (asked,) = parse_options(options_below(argv, "preset"), PresetOptions())
    from training.search_space import with_changes  # late, and torch with it: help is there before

    kind = kind_of(in_env.env)
    _require_actions(experiment, name, in_env.env, kind)
    taken = _choose(experiment.PRESETS, asked.preset, kind)
    print(f"preset: {taken} of {name}, for {in_env.env.id}; --preset takes another", file=sys.stderr)
    config = with_changes(own, {"env.id": in_env.env.id, **experiment.PRESETS[taken]})
    again = (f"--env.id={in_env.env.id}", f"--preset={taken}")
    return Default(config, asks_of(experiment), again, {"preset": taken})


def asks_of(experiment: ModuleType) -> tuple[PresetOptions, ...]:
    """The options that choose the default, which are no part of the config."""
    return (PresetOptions(),) if has_presets(experiment) else ()


def default_in(experiment: ModuleType, env: EnvConfig) -> Default:
    """The same in an environment that has a config already, such as that of what it is compared with."""
    return default_config(experiment, ["--env.id", env.id, *_options_of(env)])


def group_of(experiment: ModuleType, config: Any) -> str:
    """Under what name runs are kept together, in runs/ and in W&B: the script of an algorithm has one for each id."""
    name = experiment.__name__.rpartition(".")[2]
    return f"{name}-{_as_file(config.env.id)}" if has_presets(experiment) else name


def has_presets(experiment: ModuleType) -> bool:
    """Whether it is the script of an algorithm, which takes an environment."""
    return hasattr(experiment, "PRESETS")


def values_of(experiment: ModuleType, own: Any) -> dict[str, Any]:
    """The numbers of an experiment as a preset of the config `own`."""
    changed = changed_values(experiment.Config(), own)
    return {key: value for key, value in changed.items() if key not in WHAT_IT_IS_ABOUT}


def _options_of(env: EnvConfig) -> list[str]:
    return [option.replace("--", "--env.", 1) for option in changed_options(env, EnvConfig(env.id))]


def _choose(presets: Presets, asked: str, kind: Kind) -> str:
    if asked == AUTO:
        fitting = [name for name in kind.names if name in presets]
        if not fitting:
            raise UserError(f"PRESETS has none of {', '.join(kind.names)}: it takes at least {DEFAULT}")
        return fitting[0]
    require(asked in presets, "preset", asked, f"auto or a preset; {nearest(asked, presets)}")
    return asked


def _require_actions(experiment: ModuleType, name: str, env: EnvConfig, kind: Kind) -> None:
    """Raises UserError for actions that the algorithm does not take, with those that do."""
    actions: Actions = experiment.ACTIONS
    if actions in ("any", kind.actions):
        return
    scripts = find_scripts(experiment.__name__.partition(".")[0], "PRESETS")
    fitting = [other for other, script in scripts.items() if constant_of(script, "ACTIONS") in ("any", kind.actions)]
    told = f"{env.id} has {kind.action_space}, which is for {', '.join(fitting)}"
    raise UserError(f"{name} takes {TAKES[actions]}; {told}")


def _as_file(env_id: str) -> str:
    """An id as a part of a file's name: `ALE/Pong-v5` is `ALE-Pong-v5`."""
    return re.sub(r"[^\w.-]+", "-", env_id)
