"""Hugging Face's language models in our loop, loaded from safetensors and by transformers' own code alone.

`HuggingFaceModel` is what `pretraining.next_token.NextToken` learns with, as it does with ours.
"""

from __future__ import annotations

import json
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.random import fork_rng

from training.data.corpus import Tokenizer
from training.errors import UserError
from training.extras import extra
from training.state import State


class HuggingFaceCache:
    """The keys and values of the tokens that a model of transformers has seen."""

    def __init__(self, own: Any) -> None:
        self.own = own

    @property
    def length(self) -> int:
        """How many tokens that are."""
        return int(self.own.get_seq_length())

    def keep(self, rows: Tensor) -> None:
        """From now on row i is the one that was `rows[i]`; a row may come several times, or not at all."""
        self.own.batch_select_indices(rows)


class HuggingFaceModel(nn.Module):
    """Tokens [B, L] -> logits [B, L, vocabulary]. It sees across the documents in a row, as it did when pretrained."""

    def __init__(self, network: Any, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.network, self.tokenizer = network, tokenizer
        takes = signature(network.forward).parameters
        self._cache_name = "cache" if "cache" in takes else "past_key_values"  # as before transformers 5.24
        self.lora: State | None = None

    @property
    def context(self) -> int:
        """Tokens that it looks back on."""
        return int(self.network.config.max_position_embeddings)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    def new_cache(self, rows: int, capacity: int) -> HuggingFaceCache:
        """For documents of any number and length."""
        with extra("language"):
            import transformers
        return HuggingFaceCache(transformers.DynamicCache())

    def forward(self, tokens: Tensor, cache: HuggingFaceCache | None = None) -> Tensor:
        """With a cache, of tokens that follow those in it."""
        seen = {} if cache is None else {self._cache_name: cache.own}
        logits: Tensor = self.network(input_ids=tokens, use_cache=cache is not None, **seen).logits
        return logits

    def save(self) -> State:
        """All that is needed to build the model again."""
        return {
            "kind": "HuggingFaceModel",
            "config": self.network.config.to_json_string(use_diff=False),
            "tokenizer": self.tokenizer.to_json(),
            "end": self.tokenizer.end_text,
            "lora": self.lora,
            "weights": self.state_dict(),
        }


def load_pretrained(source: str | Path, *, revision: str = "main") -> HuggingFaceModel:
    """A causal language model with its tokenizer, from a local folder or the hub.

    Raises UserError where there is none, where its weights are not in safetensors, where it needs code of its own, and
    where its tokenizer has tokens that it does not know.
    """
    with extra("language"):
        import transformers
    where: dict[str, Any] = {
        "revision": revision,
        "local_files_only": Path(source).is_dir(),
        "trust_remote_code": False,
    }
    try:
        network: Any = transformers.AutoModelForCausalLM.from_pretrained(str(source), use_safetensors=True, **where)
        theirs = transformers.AutoTokenizer.from_pretrained(str(source), use_fast=True, **where)
    except (OSError, ValueError) as error:
        raise UserError(f"{source} cannot be loaded as a language model: {str(error).splitlines()[0]}") from None
    if theirs.eos_token is None:
        raise UserError(f"the tokenizer of {source} has no end token: documents cannot be told apart")
    tokenizer = Tokenizer(theirs.backend_tokenizer.to_str(), theirs.eos_token)
    check_vocabulary(tokenizer.size, network.get_input_embeddings().num_embeddings, source=str(source))
    return HuggingFaceModel(network.float(), tokenizer)


def build(saved: State) -> HuggingFaceModel:
    """The model that `HuggingFaceModel.save` gave, with other weights."""
    with extra("language"):
        import transformers
    tree = json.loads(saved["config"])
    config = transformers.AutoConfig.for_model(tree.pop("model_type"), **tree)
    with fork_rng(devices=[]):  # the weights, which are overwritten, are drawn from the global generator
        make: Any = transformers.AutoModelForCausalLM.from_config
        network = make(config).eval()  # as a pretrained one is loaded: dropout would draw from the global generator
    return HuggingFaceModel(network, Tokenizer(saved["tokenizer"], saved["end"]))


def export(model: HuggingFaceModel, folder: str | Path) -> None:
    """Writes the model as a folder that `load_pretrained` and transformers load; merge its adapters before."""
    if any(".lora_" in name for name, _ in model.named_parameters()):
        raise UserError("the model has adapters: merge them before it is exported")
    model.network.save_pretrained(str(folder), safe_serialization=True)
    with extra("language"):
        import transformers
        from tokenizers import Tokenizer as LibraryTokenizer
    library = LibraryTokenizer.from_str(model.tokenizer.to_json())
    make: Any = transformers.PreTrainedTokenizerFast
    make(tokenizer_object=library, eos_token=model.tokenizer.end_text).save_pretrained(str(folder))


def check_vocabulary(tokens: int, known: int, *, source: str) -> None:
    """Raises UserError when a tokenizer has more tokens than the checkpoint knows."""
    if tokens > known:
        raise UserError(
            f"{source}: its vocabulary has {known} tokens, the tokenizer {tokens}: take the tokenizer of the checkpoint"
        )
