"""A language model: the probability of the next token, in the manner of GPT (Radford et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812

from training.data.corpus import Tokenizer
from training.errors import UserError, require
from training.networks.transformer import Cache, Transformer, TransformerConfig, normal_embedding
from training.options import config_from_tree, config_to_tree
from training.run.checkpoint import read_state
from training.run.folder import find_checkpoint
from training.seeding import generator
from training.state import State


@dataclass(frozen=True)
class LanguageModelConfig:
    """The shape of a language model."""

    transformer: TransformerConfig = TransformerConfig(
        width=256, layers=4, heads=4, norm="rms", mlp="swiglu", position="rotary"
    )
    context: int = 256
    """Tokens that it looks back on."""
    vocabulary: int = 1024
    """Tokens that it tells apart, the end token included."""
    checkpoint_activations: bool = False
    """Compute the inside of the blocks again in the backward pass: less memory, a third slower."""

    def __post_init__(self) -> None:
        require(self.context >= 1, "context", self.context, "at least 1 token")
        takes = "'rotary': nothing else tells the model where a token is"
        require(self.transformer.position == "rotary", "transformer.position", self.transformer.position, takes)


class SelectableCache(Cache):
    """A cache whose documents may be left out and copied."""

    def keep(self, rows: Tensor) -> None:
        """From now on row i is the one that was `rows[i]`; a row may come several times, or not at all."""
        self.keys, self.values = self.keys[:, rows], self.values[:, rows]


class LanguageModel(nn.Module):
    """Tokens [B, L] -> logits [B, L, vocabulary] of the tokens after them. The output has the weights of the embedding.

    Documents in one row do not see each other: with the end token begins another.
    """

    def __init__(self, config: LanguageModelConfig, tokenizer: Tokenizer, rng: Generator) -> None:
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        self.lora: State | None = None  # what adapters it has, see finetuning/lora.py
        self.embedding = normal_embedding(tokenizer.size, config.transformer.width, rng)
        self.transformer = Transformer(config.transformer, rng, checkpoint_activations=config.checkpoint_activations)

    def save(self) -> State:
        """All that is needed to build the model again."""
        return {
            "kind": "LanguageModel",
            "config": config_to_tree(self.config),
            "tokenizer": self.tokenizer.to_json(),
            "lora": self.lora,
            "weights": self.state_dict(),
        }

    @property
    def context(self) -> int:
        """Tokens that it looks back on."""
        return self.config.context

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.embedding.weight.device

    def new_cache(self, rows: int, capacity: int) -> SelectableCache:
        """For `rows` documents of at most `capacity` tokens."""
        return SelectableCache(self.config.transformer, rows, capacity, self.embedding.weight)

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """With a cache, of tokens that follow those in it; they are all of one document."""
        mask = None if cache is not None else same_document(tokens, self.tokenizer.end)
        seen = self.transformer(self.embedding(tokens), mask=mask, cache=cache)
        return F.linear(seen, self.embedding.weight)


def build(saved: State) -> LanguageModel:
    """The model that `LanguageModel.save` gave, with other weights."""
    config = config_from_tree(saved["config"], LanguageModelConfig(), source="the saved model")
    return LanguageModel(config, Tokenizer(saved["tokenizer"]), generator(0, "overwritten by the weights"))


def load_weights(model: nn.Module, algorithm: State) -> None:
    """The weights in an algorithm's state, the averaged ones where its optimizer keeps those."""
    model.load_state_dict(algorithm["model"]["weights"])
    own = dict(model.named_parameters())
    with torch.no_grad():
        for key, average in algorithm["optimizer"]["averages"].items():
            own[key].copy_(average)


def load_language_model(run: str | Path, which: Literal["best", "last"] = "last") -> LanguageModel:
    """The language model of a run of pretraining, with its tokenizer.

        model = load_language_model("runs/gpt_stdlib/20260101T120000Z-seed1-ab12")
        print(complete(model, "def main(", torch.Generator(), SamplingConfig(temperature=0.8, top_k=50)))

    Raises UserError when the folder is not a run or holds no checkpoint, and for a model with adapters.
    """
    algorithm = read_state(find_checkpoint(Path(run), which), "algorithm")
    if algorithm["model"]["lora"] is not None:
        raise UserError(f"the model of {run} has adapters: load it with finetuning.language_model.load_adapted")
    model = build(algorithm["model"])
    load_weights(model, algorithm)
    return model


def same_document(tokens: Tensor, end: int) -> Tensor:
    """Where a token [B, L] may see another, [B, 1, L, L]: up to itself, back to the last end token."""
    length = tokens.shape[1]
    document = (tokens == end).cumsum(1)
    causal = torch.ones(length, length, dtype=torch.bool, device=tokens.device).tril()
    return ((document.unsqueeze(2) == document.unsqueeze(1)) & causal).unsqueeze(1)
