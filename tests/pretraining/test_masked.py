"""Masked reconstruction: the loss by hand, what is hidden, and that it learns to fill in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pretraining import masked
from pretraining.masked import Masked, MaskedConfig, MaskedEncoder, MaskedEncoderConfig, MaskedRunConfig, masked_loss
from pretraining.recipe import HeldOutConfig
from training.core import Budget, Counters, Every
from training.data.sources import sklearn_dataset
from training.data.splits import SplitConfig, split
from training.errors import UserError
from training.networks.transformer import TransformerConfig
from training.optimizer import OptimizerConfig
from training.run.run import Run
from training.seeding import generator

SMALL = TransformerConfig(width=16, layers=1, heads=2, causal=False)


def test_the_masked_loss_is_of_the_hidden_tokens_alone() -> None:
    said, held = torch.zeros(1, 3, 2), torch.tensor([[[1.0, 3.0], [9.0, 9.0], [2.0, 0.0]]])
    loss = masked_loss(said, held, torch.tensor([[True, False, True]]))
    assert (float(loss.sum), int(loss.count)) == ((1 + 9) / 2 + 4 / 2, 2)


def test_what_is_hidden_cannot_be_seen() -> None:
    digits = sklearn_dataset("digits")
    model = MaskedEncoder(digits.inputs, None, MaskedEncoderConfig(SMALL), generator(1, "weights"))
    batch = digits.gather(torch.arange(4))
    hidden = torch.zeros(4, 16, dtype=torch.bool)
    hidden[:, 5] = True  # the second row of patches, the second in it
    other = batch["input"].clone()
    other[:, 2:4, 2:4] += 15
    assert torch.equal(model({"input": other, "hidden": hidden}), model({**batch, "hidden": hidden}))
    assert not torch.equal(model({"input": other, "hidden": ~hidden}), model({**batch, "hidden": ~hidden}))


def test_masked_learning_fills_in_and_accumulates(tmp_path: Path) -> None:
    digits = sklearn_dataset("digits").select(np.arange(500))
    config = MaskedRunConfig(
        epochs=None,
        steps=150,
        threads=1,
        model=MaskedEncoderConfig(SMALL),
        algorithm=MaskedConfig(optimizer=OptimizerConfig(learning_rate=3e-3)),
        evaluation=HeldOutConfig(Every(75, "updates")),
    )
    with Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run:
        masked.train(config, run, split(digits, SplitConfig("stratified"), seed=1))
    assert run.result["metrics"]["test/r2"] > 0.3
    found = []
    for micro_batches in (1, 4):
        model = MaskedEncoder(digits.inputs, None, MaskedEncoderConfig(SMALL), generator(1, "weights"))
        rule = OptimizerConfig("sgd", learning_rate=0.1, micro_batches=micro_batches)
        Masked(model, MaskedConfig(optimizer=rule), until=Budget(1, "epochs"), seed=1).update(
            digits.gather(torch.arange(30)), Counters()
        )
        found.append(model.state_dict())
    for key, value in found[0].items():
        torch.testing.assert_close(found[1][key], value, rtol=1e-4, atol=1e-6)
    with pytest.raises(UserError, match=r"transformer.causal = True: it takes False"):
        MaskedEncoderConfig(TransformerConfig())
