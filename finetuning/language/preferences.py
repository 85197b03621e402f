"""Pairs of completions of one prompt, of which one is preferred, and what a reference says of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from finetuning.language.completions import Verify, complete_prompts
from finetuning.language.dialogue import TemplateConfig
from finetuning.language.log_probs import reference_log_probs
from pretraining.sampling import SamplingConfig
from training.core import Batch
from training.data.dataset import Dataset
from training.errors import UserError
from training.seeding import generator

SIDES = ("chosen", "rejected")
ROWS = 512
"""That a reference reads at once."""


def preference_pairs(
    model: Any,
    prompts: Sequence[str],
    verify: Verify,
    template: TemplateConfig,
    *,
    completions: int,
    max_tokens: int,
    seed: int,
    source: str,
) -> Dataset:
    """Of each prompt the best and the worst of so many completions of the model, where their rewards differ.

    The model is also the reference: it reads the pairs once, and what it says of them is kept in the data. `chosen` and
    `rejected` have `/tokens` and `/is_completion` [S, L], and `/reference` [S], the log-probability of the completion.

    Raises UserError where no prompt has completions of different rewards.
    """
    how = SamplingConfig(max_tokens=max_tokens)
    rng = generator(seed, "preferences")
    drawn = complete_prompts(model, prompts, verify, rng, template, completions=completions, how=how)
    reward = drawn["reward"].view(-1, completions)
    first = torch.arange(len(prompts)) * completions
    differ = reward.amax(1) > reward.amin(1)
    if not differ.any():
        raise UserError(f"{source}: no prompt has completions of which one is better: there is nothing to prefer")
    rows = {"chosen": (first + reward.argmax(1))[differ], "rejected": (first + reward.argmin(1))[differ]}
    arrays: dict[str, Any] = {}
    for side, picked in rows.items():
        tokens, mask = drawn["tokens"][picked], drawn["is_completion"][picked]
        said = [
            (reference_log_probs(model, part.to(model.device)).cpu() * own).sum(1)
            for part, own in zip(tokens.split(ROWS), mask.split(ROWS), strict=True)
        ]
        arrays |= {
            f"{side}/tokens": tokens.numpy().astype(np.int32),
            f"{side}/is_completion": mask.numpy(),
            f"{side}/reference": torch.cat(said).numpy(),
        }
    return Dataset(arrays, {}, source)


def both_sides(batch: Batch) -> tuple[Tensor, Tensor]:
    """The tokens and masks [2 B, L] of a batch of pairs: the chosen ones first."""
    tokens = torch.cat([batch[f"{side}/tokens"] for side in SIDES]).long()
    return tokens, torch.cat([batch[f"{side}/is_completion"] for side in SIDES])


@torch.no_grad()
def kl_per_token(
    model: Any, reference: Any, prompts: Sequence[str], template: TemplateConfig, *, max_tokens: int, seed: int
) -> float:
    """How far the model is from the reference, in nats a token of what it says itself."""
    how, rng = SamplingConfig(max_tokens=max_tokens), generator(seed, "divergence")
    drawn = complete_prompts(model, prompts, lambda *_: 0.0, rng, template, completions=4, how=how)
    apart = 0.0
    for tokens, mask, log_prob in zip(
        *(drawn[key].split(ROWS) for key in ("tokens", "is_completion", "log_prob")), strict=True
    ):
        other = reference_log_probs(reference, tokens.to(model.device)).cpu()
        apart += float(((log_prob - other) * mask).sum())
    return apart / int(drawn["is_completion"].sum())
