"""Optimizer rules for fine-tuning: which weights are frozen, and how much slower the lower layers learn."""

from __future__ import annotations

from collections.abc import Sequence

from training.optimizer import Rule

LORA_RULES = (Rule("*.lora_*"), Rule("*", frozen=True))
"""For a model with adapters, which are trained; all else is frozen."""


def frozen(*patterns: str) -> tuple[Rule, ...]:
    """Parameters that stay as they are; all others are trained as the config says."""
    return (*(Rule(pattern, frozen=True) for pattern in patterns), Rule("*"))


def discriminative(patterns: Sequence[str], learning_rate: float, *, factor: float = 2.6) -> tuple[Rule, ...]:
    """A rate for each group of parameters, from the output down; each is `factor` times lower than the one before.

    2.6 is of Howard and Ruder 2018 (https://arxiv.org/abs/1801.06146, section 3.2).
    """
    return tuple(Rule(pattern, learning_rate=learning_rate / factor**depth) for depth, pattern in enumerate(patterns))
