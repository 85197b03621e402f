"""A small model of Hugging Face's, made here and now."""

from __future__ import annotations

from typing import Any


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
