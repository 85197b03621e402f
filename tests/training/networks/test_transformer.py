"""The transformer: that it is torch's or Llama's, sampling from its cache, and activation checkpointing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.support.language_models import llama
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.networks.transformer import Cache, Rotary, Transformer, TransformerConfig, rotated
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.seeding import generator

LLAMA = TransformerConfig(width=24, layers=2, heads=2, norm="rms", mlp="swiglu", position="rotary")


def make(config: TransformerConfig = LLAMA, *, checkpoints: bool = False) -> tuple[Transformer, Tensor]:
    """Weights that differ from their first values, and tokens [2, 9, width]."""
    rng = generator(1)
    transformer = Transformer(config, rng, checkpoint_activations=checkpoints)
    with torch.no_grad():
        for weight in transformer.parameters():
            weight.add_(torch.randn(weight.shape, generator=rng) * 0.2)
    return transformer, torch.randn(2, 9, config.width, generator=rng)


def test_with_rms_norm_swiglu_and_rotary_positions_it_is_llama() -> None:
    """The same weights in Hugging Face's model, which has no biases."""
    transformer, tokens = make()
    with torch.no_grad():
        for name, weight in transformer.named_parameters():
            if name.endswith("bias"):
                weight.zero_()
    theirs = llama(vocabulary=5, width=24, layers=2, heads=2, hidden=64)
    with torch.no_grad():
        for ours, layer in zip(transformer.blocks, theirs.model.layers, strict=True):
            query, key, value = ours.attend.weight.chunk(3)
            gate, up = ours.widen.weight.chunk(2)
            layer.self_attn.q_proj.weight.copy_(query)
            layer.self_attn.k_proj.weight.copy_(key)
            layer.self_attn.v_proj.weight.copy_(value)
            layer.self_attn.o_proj.weight.copy_(ours.attended.weight)
            layer.mlp.gate_proj.weight.copy_(gate)
            layer.mlp.up_proj.weight.copy_(up)
            layer.mlp.down_proj.weight.copy_(ours.narrow.weight)
            layer.input_layernorm.weight.copy_(ours.norm_before_attention.weight)
            layer.post_attention_layernorm.weight.copy_(ours.norm_before_mlp.weight)
        theirs.model.norm.weight.copy_(transformer.norm.weight)
        expected = theirs.model(inputs_embeds=tokens).last_hidden_state
        torch.testing.assert_close(transformer(tokens), expected)


def test_rotary_positions_turn_by_hand() -> None:
    """Position 2 of a head of size 4: pairs (0, 2) and (1, 3), by 2 and by 2 * 10000^(-1/2) = 0.02 radians."""
    turns = Rotary(4)(2, 1)
    angles = torch.tensor([2.0, 0.02])
    expected = torch.stack(
        [
            *(angles.cos()[:2] * torch.tensor([1.0, 2.0]) - angles.sin()[:2] * torch.tensor([3.0, 4.0])),
            *(angles.cos()[:2] * torch.tensor([3.0, 4.0]) + angles.sin()[:2] * torch.tensor([1.0, 2.0])),
        ]
    )
    torch.testing.assert_close(rotated(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), turns)[0], expected)


@pytest.mark.parametrize("config", [LLAMA, replace(LLAMA, position="none", norm="layer", mlp="gelu")])
@pytest.mark.parametrize("parts", [[9], [1] * 9, [4, 1, 4], [3, 6]])
def test_token_by_token_with_the_cache_is_the_whole_at_once(config: TransformerConfig, parts: list[int]) -> None:
    transformer, tokens = make(config)
    cache = Cache(config, batch=2, capacity=9, like=tokens)
    with torch.no_grad():
        pieces = [transformer(part, cache=cache) for part in tokens.split(parts, dim=1)]
        torch.testing.assert_close(torch.cat(pieces, dim=1), transformer(tokens))


def test_a_mask_keeps_documents_apart() -> None:
    """Two documents in one row give what each gives alone: rotary positions are relative."""
    transformer, tokens = make()
    document = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1])
    mask = ((document.unsqueeze(1) == document) & torch.ones(9, 9, dtype=torch.bool).tril()).expand(2, 1, 9, 9)
    with torch.no_grad():
        together = transformer(tokens, mask=mask)
        torch.testing.assert_close(together, torch.cat([transformer(tokens[:, :4]), transformer(tokens[:, 4:])], dim=1))


def test_checkpointing_activations_changes_no_gradient() -> None:
    """By the Optimizer's own update."""
    updated = []
    for checkpoints in (False, True):
        transformer, tokens = make(checkpoints=checkpoints)

        def loss(batch: Batch, transformer: Transformer = transformer) -> Loss:
            values = transformer(batch["tokens"])
            return Loss(values.square().sum(), values.numel(), {})

        optimizer = Optimizer(dict(transformer.named_parameters()), OptimizerConfig(), until=Budget(1, "updates"))
        optimizer.step(loss, {"tokens": tokens}, Counters())
        updated.append(dict(transformer.named_parameters()))
    for name, value in updated[0].items():
        assert torch.equal(value, updated[1][name]), name


def test_checkpointing_keeps_less_for_the_backward_pass() -> None:
    kept = []
    for checkpoints in (False, True):
        transformer, tokens = make(checkpoints=checkpoints)
        saved = [0]

        def keep(value: Tensor, saved: list[int] = saved) -> Tensor:
            saved[0] += value.numel()
            return value

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
            transformer(tokens)
        kept.append(saved[0])
    assert kept[1] < kept[0] / 5


def test_rotary_positions_need_even_heads() -> None:
    with pytest.raises(UserError, match="heads = 8: it takes a number of heads that divides width = 24 into even"):
        TransformerConfig(width=24, heads=8, position="rotary")


def test_the_transformer_is_torchs_own() -> None:
    """The weights of its blocks, in `nn.TransformerEncoderLayer` with a causal mask."""
    config = TransformerConfig(width=8, layers=2, heads=2)
    transformer = Transformer(config, generator(1))
    tokens = torch.randn(3, 7, 8, generator=generator(2))
    mask = nn.Transformer.generate_square_subsequent_mask(7)
    expected = tokens
    for block in transformer.blocks:
        layer = nn.TransformerEncoderLayer(8, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
        names = {
            "self_attn.in_proj_": block.attend,
            "self_attn.out_proj.": block.attended,
            "linear1.": block.widen,
            "linear2.": block.narrow,
            "norm1.": block.norm_before_attention,
            "norm2.": block.norm_before_mlp,
        }
        layer.load_state_dict(
            {name + key: value for name, module in names.items() for key, value in module.state_dict().items()}
        )
        expected = layer(expected, src_mask=mask, is_causal=True)
    torch.testing.assert_close(transformer(tokens), transformer.norm(expected))


def test_a_token_does_not_see_those_after_it() -> None:
    transformer = Transformer(TransformerConfig(width=8, layers=2, heads=1), generator(1))
    tokens = torch.randn(1, 6, 8, generator=generator(2))
    changed = tokens.clone()
    changed[:, 4, 0] += 1
    before, after = transformer(tokens), transformer(changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.isclose(before[:, 4:], after[:, 4:]).all(-1).any()


def test_a_shape_that_cannot_be_is_told() -> None:
    with pytest.raises(UserError, match="heads = 3: it takes a divisor of width = 8"):
        TransformerConfig(width=8, heads=3)
