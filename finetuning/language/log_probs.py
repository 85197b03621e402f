"""What a language model says of documents that are there: the log-probability of each token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def token_log_probs(model: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Of each token [B, L] after those before it, and the entropy of what it was drawn from; 0 for the first, in nats.

    In float32 and at temperature 1, as `pretraining.sampling.sample` gives them.
    """
    log = model(tokens[:, :-1]).float().log_softmax(-1)
    chosen = log.gather(-1, tokens[:, 1:].unsqueeze(-1)).squeeze(-1)
    entropy = -(log.exp() * log).sum(-1)
    return F.pad(chosen, (1, 0)), F.pad(entropy, (1, 0))


def sequence_log_probs(model: Any, tokens: Tensor, is_completion: Tensor) -> Tensor:
    """Of each completion [B] as a whole: the sum over its tokens [B, L]."""
    log_prob, _ = token_log_probs(model, tokens)
    return (log_prob * is_completion).sum(-1)


@torch.no_grad()
def reference_log_probs(model: Any, tokens: Tensor) -> Tensor:
    """The first of `token_log_probs`, of a model that stays as it is."""
    return token_log_probs(model, tokens)[0]
