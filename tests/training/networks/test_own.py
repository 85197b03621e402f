"""Encoders of somebody's own: how they are built, what they may not be, their modes, and how they are compiled."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from tests.support.networks import Branching, Extractor, Lazy, Noisy, Plain, Wrong
from training import learners
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.networks import Encoder, NetworkConfig
from training.networks.in_numpy import encoder_as_numpy
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.seeding import generator

VECTOR = {"obs": spaces.Box(-1, 1, (3,))}


def make(module: Any, of: Any = VECTOR, seed: int = 1, **arguments: Any) -> Encoder:
    return Encoder(of, NetworkConfig(module=module, module_kwargs=arguments), generator(seed))


def rows(count: int = 6, seed: int = 2) -> dict[str, Tensor]:
    return {"obs": torch.randn(count, 3, generator=generator(seed))}


def test_its_features_have_any_leading_shape_and_are_what_it_returns() -> None:
    encoder = make(Plain, width=5)
    assert encoder.own is not None
    obs = {"obs": torch.randn(2, 4, 3, generator=generator(2), dtype=torch.float64), "reward": torch.zeros(2, 4)}
    features = encoder(obs)
    assert features.shape == (2, 4, 5) == (2, 4, encoder.out_features)
    torch.testing.assert_close(features[1], encoder.own.module({"obs": obs["obs"][1].float()}))
    assert encoder({"obs": torch.zeros(3)}).shape == (5,)
    assert encoder_as_numpy(encoder, 1) is None


def test_it_sees_all_spaces_as_the_environment_gives_them_and_their_sizes_may_come_late() -> None:
    of = {
        "obs/camera": spaces.Box(0, 255, (3, 3), np.uint8),  # too small for our own convolutions
        "obs/goal": spaces.Discrete(4),
        "obs/keys": spaces.MultiBinary(2),
        "obs/pair": spaces.MultiDiscrete([2, 3]),
    }
    encoder = make(Lazy, of)
    batch = {key: torch.from_numpy(np.stack([np.asarray(space.sample())] * 2)) for key, space in of.items()}
    assert encoder(batch).shape == (2, 8)
    with pytest.raises(UserError, match=r"observation 'obs/words': Text.* cannot be a tensor of one shape"):
        make(Plain, {"obs/words": spaces.Text(5)})
    graph = spaces.Graph(spaces.Box(0, 1, (2,)), None)
    with pytest.raises(UserError, match=r"observation 'obs': Graph.* cannot be a tensor of one shape"):
        make(Plain, {"obs": graph})


@pytest.mark.parametrize("module", [Plain, Noisy, Lazy, Extractor])
def test_its_weights_come_from_the_generator_alone(module: Any) -> None:
    torch.manual_seed(1)
    before, first = torch.get_rng_state(), make(module)
    torch.manual_seed(2)
    second, third = make(module), make(module, seed=3)
    torch.manual_seed(1)
    assert torch.equal(before, torch.get_rng_state())
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key
    assert not all(torch.equal(value, third.state_dict()[key]) for key, value in first.state_dict().items())


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ("key", r"it cannot be built from obs: Box.* \(.*networks.py:\d+: KeyError: 'nothing'\)"),
        ("product", r"it cannot take obs: Box.* \(.*networks.py:\d+: RuntimeError: mat1 and mat2"),
        ("frozen", r"parameter 'layers.0.weight' is frozen: it takes a rule of the optimizer with frozen = true"),
        ("plain tensor", r"'scale' is a plain tensor, never saved: it takes register_buffer for it"),
        ("device", r"'scale' is on meta: it takes cpu, from where the run moves all of it"),
        ("said", r"out_features = 3, but it returns 16 features"),
        ("flat", r"it returns \[64\] for 4 observations: it takes features \[4, F\]"),
        ("pair", r"it returns tuple for 4 observations: it takes features \[4, F\]"),
        ("integers", r"it returns torch.int64: it takes features of floats"),
        ("always drops", r"it draws random numbers in eval mode: dropout takes training=self.training"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(mistake: str, told: str) -> None:
    with pytest.raises(UserError, match=rf"^module = 'tests.support.networks:Wrong': {told}") as raised:
        make(Wrong, mistake=mistake)
    assert "\n" not in str(raised.value)
    make(Wrong, mistake="none")


def test_train_mode_is_where_gradients_are_computed() -> None:
    encoder = make(Noisy, share=0.0)
    assert encoder.own is not None
    norm = encoder.own.module.layers[1]  # type: ignore[index]
    with torch.no_grad():
        acted = encoder(rows())
        assert torch.equal(encoder(rows()), acted)
        torch.testing.assert_close(encoder({"obs": rows()["obs"][:1]}), acted[:1])  # whatever else is in the batch
    assert norm.num_batches_tracked == 0, "neither building nor acting moves the statistics"
    learned = encoder(rows())
    assert norm.num_batches_tracked == 1
    assert not torch.allclose(learned, acted)
    assert encoder(rows(1)).isfinite().all(), "of one row in eval mode"
    assert norm.num_batches_tracked == 1
    encoder.eval()
    encoder(rows())
    assert norm.num_batches_tracked == 1, "a frozen network stays as it is"


def test_the_noise_of_dropout_goes_on_where_it_was_saved_and_moves_no_global_generator() -> None:
    first, second = make(Noisy), make(Noisy)
    before = torch.get_rng_state()
    made = [first(rows()).detach() for _ in range(3)]
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(made[0], made[1])
    saved = copy.deepcopy(first.state_dict())
    after = first(rows())
    torch.manual_seed(3)
    second.load_state_dict(saved)
    assert torch.equal(second(rows()), after)
    plain = make(Noisy, share=0.0)
    assert "own.noise_seed" in saved
    assert "own.noise_seed" not in plain.state_dict(), "only where there is noise"


def test_several_learners_refuse_what_they_would_draw_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "count", lambda: 2)
    make(Plain)
    with pytest.raises(UserError, match="it takes a network without batch normalization and dropout with several"):
        make(Noisy)


def train(module: Any, compiled: bool) -> tuple[Encoder, Optimizer]:
    encoder = make(module)

    def loss(batch: Batch) -> Loss:
        errors = encoder(batch).square().sum(-1)
        return Loss(errors.sum(), len(errors), {})

    optimizer = Optimizer(
        dict(encoder.named_parameters()), OptimizerConfig(compile=compiled, learning_rate=0.01), until=Budget(10)
    )
    for update in range(3):
        optimizer.step(loss, rows(seed=update), Counters(updates=update))
    return encoder, optimizer


@pytest.mark.parametrize(
    ("module", "told"),
    [(Plain, ""), (Branching, "networks.py:"), (Noisy, "a network with batch normalization, dropout and the like")],
)
def test_it_is_compiled_where_the_compiler_takes_it(module: Any, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    encoder, _ = train(module, compiled=True)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == bool(told)
    if told:
        assert said[0].startswith("warning: optimizer: its update cannot be compiled: ")
        assert told in said[0]
    plain, _ = train(module, compiled=False)
    torch.testing.assert_close(encoder.state_dict(), plain.state_dict(), rtol=1e-4, atol=1e-5)
