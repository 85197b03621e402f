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
