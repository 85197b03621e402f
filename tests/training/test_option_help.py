"""Help: every option with what it takes, its default and its docstring, on lines that fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from experiments.control import ppo_cartpole
from training.option_help import help_text, main_options, options_of, show_help, takes


@dataclass(frozen=True)
class Optimizer:
    learning_rate: float = 3e-4
    """Step size."""
    kind: Literal["adam", "sgd"] = "adam"


@dataclass(frozen=True)
class Base:
    seed: int = 1
    """Of
    everything."""


@dataclass(frozen=True)
class Config(Base):
    seed: int = 2
    hidden: tuple[int, ...] = (64, 64)
    name: str | None = None
    free: dict[str, Any] = field(default_factory=dict)
    optimizer: Optimizer = Optimizer()


def test_every_option_has_its_default_and_the_docstring_of_its_class_or_of_one_above(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_help("train example", "It trains.", Config())
    assert capsys.readouterr().out.splitlines() == [
        "usage: train example [options]",
        "",
        "It trains.",
        "",
        "options:",
        "  --seed INT",
        "      Of everything. (default: 2)",
        "  --hidden INT ...",
        "      (default: 64 64)",
        "  --name TEXT|none",
        "      (default: none)",
        "  --free JSON",
        "      (default: {})",
        "",
        "optimizer options:",
        "  --optimizer.learning-rate NUMBER",
        "      Step size. (default: 0.0003)",
        "  --optimizer.kind adam|sgd",
        "      (default: adam)",
    ]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (int | Literal["auto"], "INT|auto"),
        (bool | None, "true|false|none"),
        (tuple[tuple[float, float], ...], "NUMBER ... ..."),
        (dict[str, Any], "JSON"),
        (Config | None, "JSON|none"),
        (Any, "JSON"),
    ],
)
def test_what_a_field_takes_is_told_in_a_few_letters(kind: Any, told: str) -> None:
    assert takes(kind) == told


def test_the_short_help_has_what_people_change_and_its_lines_fit() -> None:
    options = options_of(ppo_cartpole.Config())
    main = main_options(options)
    asked = {"seed", "env_steps", "env.id", "num_envs", "agent.optimizer.learning_rate", "policy.network.hidden"}
    assert asked | {"evaluation.episodes", "device"} <= {option.key for option in main}
    assert len(main) < 20 < len(options)
    page = help_text("train", "It trains.", main, more="--help all shows the others.")
    assert max(map(len, page.splitlines())) <= 100
    assert page.endswith("--help all shows the others.")
