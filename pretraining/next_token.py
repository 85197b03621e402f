"""Pretraining of a language model: make each token of a text likelier after those before it.

The optimizer's settings are GPT-3's (Brown et al. 2020, https://arxiv.org/abs/2005.14165, appendix B), but for the
learning rate, which suits models of a few million parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn import functional as F  # noqa: N812

from pretraining import recipe
from pretraining.language_model import LanguageModel, LanguageModelConfig
from pretraining.model import ModelAndParts
from pretraining.recipe import DataRunConfig, HeldOutConfig, Part
from training.core import Batch, Budget, Counters, Every, to_device
from training.data.corpus import CorpusConfig, TokenizedCorpus, Tokenizer, tokenize_corpus
from training.data.splits import Splits
from training.errors import require
from training.metrics import Mean, Metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.optimizer.anchor import Anchor
from training.run.checkpoint import CheckpointConfig
from training.run.compute import choose_device, choose_precision
from training.run.run import Run
from training.seeding import generator
from training.state import Buildable

NOT_LEARNED = -100
"""In the place of a token that is not learned."""


class NextTokenModel(Buildable, Protocol):
    """Any module from tokens [B, L] to logits [B, L, V], ours or another library's."""

    tokenizer: Tokenizer

    def __call__(self, tokens: Tensor) -> Tensor: ...

    def named_parameters(self) -> Iterable[tuple[str, Parameter]]: ...


@dataclass(frozen=True)
class NextTokenConfig:
    """Hyperparameters of pretraining."""

    optimizer: OptimizerConfig = OptimizerConfig(
        kind="adamw",
        learning_rate=3e-3,
        betas=(0.9, 0.95),
        weight_decay=0.1,
        max_grad_norm=1.0,
        schedule=Schedule("cosine", final=0.1, warmup=0.05),
    )


class NextToken(ModelAndParts):
    """Learns from rows of tokens [B, context + 1], each of which is predicted from those before it.

    Where a batch has `is_completion` [B, context + 1], it learns and measures the tokens alone at which that is True.
    """

    score = "log_prob_nats"

    def __init__(
        self, model: NextTokenModel, config: NextTokenConfig, *, until: Budget, anchor: Anchor | None = None
    ) -> None:
        self.model, self._anchor = model, anchor
        parameters = dict(model.named_parameters())
        self._optimizer = Optimizer(parameters, config.optimizer, until=until)
        self.parts = {"optimizer": self._optimizer}
        self._device = next(iter(parameters.values())).device

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        return self._optimizer.step(self._loss, to_device(batch, self._device), now), {}

    def _loss(self, batch: Batch) -> Loss:
        loss = next_token_loss(self.model, batch)
        return loss if self._anchor is None else self._anchor.added_to(loss)

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        """Of every token, in float32: loss, its negative, perplexity, and how often the likeliest token is right."""
        loss, right, count = 0.0, 0, 0
        with self._optimizer.averaged():
            for batch in batches:
                tokens, targets = _tokens_and_targets(to_device(batch, self._device))
                logits = self.model(tokens[:, :-1])
                loss += float(cross_entropy(logits, targets))
                right += int((logits.argmax(-1) == targets).sum())
                count += int((targets != NOT_LEARNED).sum())
        return {
            "loss_nats": loss / count,
            "log_prob_nats": -loss / count,
            "perplexity": math.exp(min(loss / count, 700.0)),
            "accuracy": right / count,
        }


def next_token_loss(model: NextTokenModel, batch: Batch) -> Loss:
    """The cross entropy of the tokens [B, L + 1] but the first of each row, or of those at which `is_completion` is."""
    tokens, targets = _tokens_and_targets(batch)
    total = cross_entropy(model(tokens[:, :-1]), targets)
    count = int((targets != NOT_LEARNED).sum()) if "is_completion" in batch else targets.numel()
    return Loss(total, count, {"learner/loss_nats": Mean(total.detach() / count, count)})


def _tokens_and_targets(batch: Batch) -> tuple[Tensor, Tensor]:
    """The tokens [B, L + 1], and those behind each of the first L, NOT_LEARNED where nothing is learned."""
    tokens = batch["tokens"].long()
    targets = tokens[:, 1:]
    if "is_completion" in batch:
        targets = targets.masked_fill(~batch["is_completion"][:, 1:], NOT_LEARNED)
    return tokens, targets


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The sum over the targets [B, L] but those that are NOT_LEARNED, by logits [B, L, V]."""
    flat = logits.flatten(0, 1).float(), targets.flatten()
    return F.cross_entropy(*flat, ignore_index=NOT_LEARNED, reduction="sum")


@dataclass(frozen=True, kw_only=True)
class RowsRunConfig(DataRunConfig):
    """How a language model learns. `minibatch_size` counts rows of tokens."""

    algorithm: NextTokenConfig = NextTokenConfig()
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Of the forward pass in training; auto: bf16 where the device has it."""
    minibatch_size: int = 16
    evaluation: HeldOutConfig = HeldOutConfig(every=Every(200, "updates"), minibatch_size=32)
    log_every: Every = Every(20, "updates")
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(200, "updates"))


@dataclass(frozen=True, kw_only=True)
class NextTokenRunConfig(RowsRunConfig):
    """What to read, with what model; a row has `model.context` tokens."""

    corpus: CorpusConfig = CorpusConfig()
    model: LanguageModelConfig = LanguageModelConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        takes = "False with model.checkpoint_activations: what is computed again cannot be compiled"
        require(self.compile is not True or not self.model.checkpoint_activations, "compile", self.compile, takes)


def train(
    config: NextTokenRunConfig,
    run: Run,
    *,
    measure: Callable[[NextToken, TokenizedCorpus], Mapping[str, float]] | None = None,
) -> None:
    """One run of pretraining, from scratch; `measure` gives what else the result holds."""
    if config.model.checkpoint_activations:
        config = replace(config, compile=False)
    shape = config.model
    corpus = tokenize_corpus(config.corpus, run.folder / "tokens", config.seed, shape.vocabulary)
    model = LanguageModel(shape, corpus.tokenizer, generator(config.seed, "weights"))
    more = None if measure is None else lambda algorithm: measure(algorithm, corpus)
    train_on_rows(config, run, model, corpus.rows(shape.context), measure=more)


def train_on_rows(
    config: RowsRunConfig,
    run: Run,
    model: Any,
    rows: Splits,
    *,
    anchor: float = 0.0,
    measure: Callable[[NextToken], Mapping[str, float]] | None = None,
) -> None:
    """The same with a `NextTokenModel` that is there already, held where it is by an anchor of this weight."""
    precision = choose_precision(run, config.precision, choose_device(run, config.device))
    own = config.algorithm
    config = replace(config, algorithm=replace(own, optimizer=replace(own.optimizer, precision=precision)))

    def make_algorithm(model: Any, own: NextTokenConfig, until: Budget) -> NextToken:
        held = Anchor(dict(model.named_parameters()), anchor) if anchor else None
        return NextToken(model, own, until=until, anchor=held)

    more = None if measure is None else lambda algorithm, _: measure(algorithm)
    recipe.train(config, run, rows, model, make_algorithm, measure=more)
