"""Contrastive pairs: the loss by hand, equal names, the temperature, exact resume, and names that were never seen."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from pretraining import contrastive_pairs
from pretraining.contrastive_pairs import (
    PAIR,
    ContrastivePairs,
    ContrastivePairsConfig,
    ContrastivePairsRunConfig,
    PairEncoder,
    PairEncoderConfig,
    distinct_names,
    named_accuracy,
    pair_loss,
    same_names,
)
from pretraining.model import load_model, model_of
from tests.pretraining.test_prototypical import NETWORK, equal
from training.core import Budget, Counters, Every
from training.data.augmentation import AugmentationConfig
from training.data.dataset import Dataset
from training.data.glyphs import by_name, glyphs, of_classes, with_names
from training.data.sources import of_arrays
from training.data.splits import Splits
from training.data.streams import Shuffled
from training.errors import UserError
from training.networks.transformer import TransformerConfig
from training.optimizer import OptimizerConfig
from training.run.checkpoint import Checkpoint, read_state
from training.run.run import Run
from training.seeding import generator

RESUMED = {
    "glyphs_zero_shot": [
        *("--steps", "120", "--test-classes", "60", "--validation-classes", "20", "--minibatch-size", "16"),
        *("--model.words.width", "8"),
    ],
}
SHAPE = PairEncoderConfig(network=NETWORK, words=TransformerConfig(16, 1, 1, causal=False), shared=16)
CONFIG = ContrastivePairsConfig(
    augmentation=AugmentationConfig(shift_pixels=1.0, hide_tokens=0.1),
    optimizer=OptimizerConfig("adamw", learning_rate=3e-3, ema_decay=0.9),
)
LETTERS = [row for row, name in enumerate(glyphs().labels) if name.startswith("LATIN") and " WITH " in name]
"""Each has a letter and something that it is with."""


def letters() -> Dataset:
    return of_classes(glyphs().select(np.arange(3 * len(glyphs().labels))), np.array(LETTERS[:200]))


def splits() -> Splits:
    return Splits(*(with_names(part) for part in by_name(letters(), test=30, validation=10, seed=1)))


def algorithm(seed: int) -> ContrastivePairs:
    model = PairEncoder(with_names(letters()).inputs, None, SHAPE, generator(seed, "weights"))
    return ContrastivePairs(model, CONFIG, until=Budget(100, "updates"), seed=seed)


def test_the_loss_is_the_symmetric_cross_entropy_and_equal_names_are_no_opposites() -> None:
    rng = generator(1)
    seen, named = (F.normalize(torch.randn(4, 3, generator=rng), dim=1) for _ in range(2))
    names = torch.tensor([[1, 2], [3, 0], [1, 2], [1, 3]])
    alike = same_names(names)
    assert alike.nonzero().tolist() == [[0, 0], [0, 2], [1, 1], [2, 0], [2, 2], [3, 3]]
    by_hand = 0.0
    for i in range(4):
        others = [j for j in range(4) if j == i or not alike[i, j]]
        for one, two in ((seen, named), (named, seen)):
            likeness = {j: 10 * float(one[i] @ two[j]) for j in others}
            by_hand -= (likeness[i] - math.log(sum(math.exp(value) for value in likeness.values()))) / 2
    loss = pair_loss(seen, named, torch.tensor(10.0), alike)
    assert loss.count == 4
    assert float(loss.sum) == pytest.approx(by_hand, rel=1e-5)
    assert float(loss.metrics["learner/temperature"].value) == pytest.approx(0.1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(pair_loss(seen, named, torch.tensor(10.0), alike).sum, loss.sum)


def test_the_temperature_is_learned_and_cannot_run_away() -> None:
    model = algorithm(1).model
    assert 1 / float(model.scale.detach()) == pytest.approx(0.07)
    with torch.no_grad():
        model.log_scale.fill_(100.0)
    assert 1 / float(model.scale.detach()) == pytest.approx(0.01)
    one = algorithm(1)
    batch = splits().train.gather(torch.arange(32))
    one.update(batch, Counters())
    assert float(one.model.log_scale.detach()) != pytest.approx(-math.log(0.07), abs=1e-6)


def test_what_is_asked_is_each_name_once() -> None:
    target = torch.tensor([7, 3, 7, 3, 9])
    words = torch.tensor([[1], [2], [1], [2], [4]])
    labels, names = distinct_names(target, words)
    assert labels.tolist() == [3, 7, 9]
    assert names.tolist() == [[2], [1], [4]]
    named, seen = torch.eye(6), torch.eye(6)[:3]
    seen[1, 3] = 0.5  # the second nearest of the second
    said = named_accuracy(seen, named, torch.tensor([0, 3, 2]))
    assert said["accuracy"] == pytest.approx(2 / 3)
    assert said["accuracy_top_5"] == 1.0


def test_held_out_names_have_no_new_word() -> None:
    parts = by_name(glyphs(), test=400, validation=100, seed=1)
    names = [{part.labels[label] for label in np.unique(part.array("target"))} for part in parts]
    assert [len(some) for some in names] == [len(glyphs().labels) - 500, 100, 400]
    assert not names[0] & names[1] | names[0] & names[2] | names[1] & names[2]
    known = {word for name in names[0] for word in name.split()}
    assert all(word in known for some in names[1:] for name in some for word in name.split())
    read = with_names(parts.test)
    assert read.array("input/named").shape == (400 * 12, max(len(name.split()) for name in glyphs().labels))
    assert np.array_equal(read.array("input/seen"), parts.test.array("input"))
    with pytest.raises(UserError, match=r"test_classes = 5000: it takes at most \d+, the names whose words"):
        by_name(glyphs(), test=5_000, validation=100, seed=1)


def learn(one: ContrastivePairs, stream: Shuffled, now: Counters, updates: int) -> Counters:
    for _ in range(updates):
        batch, now, _ = stream.next(now)
        one.update(batch, now)
        now = now.advance(updates=1)
    return now


def test_it_goes_on_to_the_bit_and_measuring_moves_nothing(tmp_path: Path) -> None:
    parts = splits()
    streams = [Shuffled(parts.train, 32, seed=1) for _ in range(2)]
    one, again = algorithm(1), algorithm(2)
    now = learn(one, streams[0], Counters(), 4)
    saved = Checkpoint(tmp_path, {"algorithm": one, "stream": streams[0]}, every=Every(1)).save(now)
    learn(one, streams[0], now, 3)
    torch.rand(5)
    again.load_state_dict(read_state(saved, "algorithm"))
    streams[1].load_state_dict(read_state(saved, "stream"))
    learn(again, streams[1], now, 3)
    assert equal(again.state_dict(), one.state_dict())
    before = {key: value.clone() for key, value in one.model.state_dict().items()}
    assert one.measure(parts.test.batches(16), "test") == one.measure(parts.test.batches(16), "test")
    assert equal(one.model.state_dict(), before)
    built, batch = model_of(one.state_dict()), parts.test.gather(torch.arange(8))
    with one._optimizer.averaged():
        assert all(map(torch.equal, built(batch), one.model(batch)))


def test_letters_that_were_never_seen_are_found_by_their_names(tmp_path: Path) -> None:
    config = ContrastivePairsRunConfig(
        epochs=None, steps=150, minibatch_size=64, threads=1, model=SHAPE, algorithm=CONFIG
    )
    with Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run:
        contrastive_pairs.train(config, run, splits())
    assert run.result["metrics"]["test/accuracy"] > 0.15  # chance is one in 30
    assert isinstance(load_model(run.folder, "last"), PairEncoder)


def test_what_cannot_be_is_told_before_training(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"optimizer\.micro_batches = 2: it takes 1: a contrastive loss"):
        ContrastivePairsConfig(optimizer=OptimizerConfig(micro_batches=2))
    with pytest.raises(UserError, match="minibatch_size = 1: it takes at least 2"):
        ContrastivePairsRunConfig(minibatch_size=1)
    with pytest.raises(UserError, match=r"pairs take the inputs input/seen and input/named, here there are input"):
        PairEncoder(letters().inputs, None, SHAPE, generator(1))
    parts = splits()
    arrays = {key: parts.train.array(key) for key in PAIR}
    arrays[PAIR[1]] = np.ones_like(arrays[PAIR[1]])
    same = of_arrays({key.removeprefix("input/"): value for key, value in arrays.items()}, None, "one name")
    config = ContrastivePairsRunConfig(model=SHAPE, algorithm=replace(CONFIG))
    with (
        Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run,
        pytest.raises(UserError, match="one name: every sample has the same name"),
    ):
        contrastive_pairs.train(config, run, Splits(same, same, same))
