"""Small language models, ours and Hugging Face's, and the texts that they learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from finetuning.hugging_face import HuggingFaceModel, export
from pretraining.language_model import LanguageModel, LanguageModelConfig
from training.data.corpus import Tokenizer
from training.networks.transformer import TransformerConfig
from training.seeding import generator

TEXTS = [f"def double_{index}(value):\n    return value * {index}\n" for index in range(40)]
SHAPE = LanguageModelConfig(
    TransformerConfig(width=16, layers=2, heads=2, norm="rms", mlp="swiglu", position="rotary"),
    context=12,
    vocabulary=280,
)
SMALL_GPT = [
    *("--model.transformer.width", "16", "--model.transformer.layers", "1", "--model.transformer.heads", "2"),
    *("--model.context", "16", "--model.vocabulary", "300"),
    *("--corpus.patterns", "json/*.py", "email/*.py", "--corpus.bytes-per-document", "10000"),
]
"""Options of a short run of `gpt_stdlib`."""


def distinct_model() -> LanguageModel:
    """Ours, with weights large enough that its tokens differ."""
    return _with_larger_weights(LanguageModel(SHAPE, Tokenizer.trained(TEXTS, SHAPE.vocabulary), generator(1)))


def speller() -> LanguageModel:
    """The same of five characters, which often ends what it says."""
    return _with_larger_weights(LanguageModel(SHAPE, Tokenizer.of_characters("abcde"), generator(1)))


def _with_larger_weights(model: LanguageModel) -> LanguageModel:
    rng = generator(2)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=rng) * 0.3)
    return model


def llama(*, vocabulary: int, width: int, layers: int, heads: int, hidden: int) -> Any:
    """Llama for causal language modelling, with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            max_position_embeddings=64,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def gpt2(*, vocabulary: int, width: int, layers: int, heads: int) -> Any:
    """GPT-2, whose linear layers are transposed ones, with random weights and no dropout."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary,
            n_embd=width,
            n_layer=layers,
            n_head=heads,
            n_positions=64,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def llama_checkpoint(tokenizer: Tokenizer, folder: Path) -> Path:
    """A small Llama with its tokenizer, as a folder that Hugging Face's own code wrote."""
    torch.manual_seed(1)
    network = llama(vocabulary=tokenizer.size, width=16, layers=1, heads=2, hidden=32)
    export(HuggingFaceModel(network, tokenizer), folder)
    assert (folder / "model.safetensors").exists()
    return folder
