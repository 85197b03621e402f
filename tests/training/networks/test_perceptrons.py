from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from training.errors import UserError
from training.networks import MLP, Encoder, NetworkConfig, Normalizer
from training.networks.convolutions import CNN
from training.networks.initialization import linear

CONFIG = NetworkConfig()


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def test_a_perceptron_has_the_layers_of_its_config() -> None:
    config = NetworkConfig(hidden=(8, 6), activation="silu", layer_norm=True)
    mlp = MLP(3, config, seeded(), outputs=2)
    kinds = [type(layer) for layer in mlp]
    assert kinds == [nn.Linear, nn.LayerNorm, nn.SiLU, nn.Linear, nn.LayerNorm, nn.SiLU, nn.Linear]
    assert mlp(torch.zeros(5, 4, 3)).shape == (5, 4, 2)
    torso = MLP(3, CONFIG, seeded())
    assert (type(torso[-1]), torso.out_features) == (nn.Tanh, 64)
    assert MLP(3, NetworkConfig(hidden=()), seeded()).out_features == 3


def test_weights_are_orthogonal_with_their_gain_and_biases_zero() -> None:
    mlp = MLP(64, CONFIG, seeded(), outputs=4, gain=0.01)
    hidden, output = mlp[2], mlp[4]
    torch.testing.assert_close(hidden.weight @ hidden.weight.T, 2.0 * torch.eye(64), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(output.weight @ output.weight.T, 1e-4 * torch.eye(4), rtol=0.0, atol=1e-8)
    assert all(not layer.bias.any() for layer in (hidden, output))
    filters = CNN((36, 36, 3), CONFIG, seeded()).layers[0].weight.flatten(1)
    torch.testing.assert_close(filters @ filters.T, 2.0 * torch.eye(32), rtol=0.0, atol=1e-5)


def build(generator: Generator) -> nn.Module:
    config = NetworkConfig(cnn="small")
    image = CNN((8, 8), config, generator)
    return nn.Sequential(image, MLP(image.out_features, config, generator, outputs=2))


def test_weights_come_from_the_given_generator_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = build(seeded(5)).state_dict()
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(2)
    again, other = build(seeded(5)).state_dict(), build(seeded(6)).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["1.0.weight"], other["1.0.weight"])
    assert linear(1, 1, gain=3.0, generator=seeded()).weight.abs().item() == pytest.approx(3.0)


@pytest.mark.parametrize("shape", [(84, 84), (84, 84, 3), (3, 84, 84), (4, 84, 84), (4, 84, 84, 3), (4, 3, 84, 84)])
def test_image_layouts_give_features_for_any_leading_shape(shape: tuple[int, ...]) -> None:
    cnn = CNN(shape, CONFIG, seeded())
    image = torch.randint(0, 256, (3, 2, *shape), dtype=torch.uint8)
    features = cnn(image)
    assert features.shape == (3, 2, cnn.out_features) == (3, 2, 512)
    torch.testing.assert_close(features[2, 1], cnn(image[2, 1]))


def test_channels_last_and_first_are_the_same_image() -> None:
    image = torch.randint(0, 256, (2, 10, 12, 3), dtype=torch.uint8)
    config = NetworkConfig(cnn="small")
    last, first = CNN((10, 12, 3), config, seeded()), CNN((3, 10, 12), config, seeded())
    torch.testing.assert_close(last(image), first(image.permute(0, 3, 1, 2)))
    stacked = CNN((2, 10, 12, 3), config, seeded())
    frames = image.reshape(1, 2, 10, 12, 3)
    as_channels = CNN((6, 10, 12), config, seeded())(frames.permute(0, 1, 4, 2, 3).reshape(1, 6, 10, 12))
    torch.testing.assert_close(stacked(frames), as_channels)


def test_uint8_images_are_scaled() -> None:
    cnn = CNN((5, 5), NetworkConfig(cnn="small"), seeded())
    image = torch.randint(0, 256, (2, 5, 5), dtype=torch.uint8)
    torch.testing.assert_close(cnn(image), cnn(image.float() / 255.0))


def test_a_small_image_names_the_network_that_takes_it() -> None:
    with pytest.raises(UserError, match=r"cnn = 'nature': an image of shape \[10, 10, 4\] is too small; cnn = 'small'"):
        CNN((10, 10, 4), CONFIG, seeded())
    assert CNN((10, 10, 4), NetworkConfig(cnn="small"), seeded()).out_features == 128


@pytest.mark.parametrize(
    ("space", "value", "expected"),
    [
        (spaces.Box(-1, 1, (3,)), np.array([0.5, -1.0, 1.0], np.float32), [0.5, -1.0, 1.0]),
        (spaces.Box(-1, 1, (), np.float64), np.array(0.25), [0.25]),
        (spaces.Box(-9, 9, (2, 2), np.int32), np.array([[1, 2], [3, 4]]), [1, 2, 3, 4]),
        (spaces.Box(0, 255, (2,), np.uint8), np.array([0, 255], np.uint8), [0.0, 1.0]),
        (spaces.Discrete(3), np.array(2), [0, 0, 1]),
        (spaces.Discrete(3, start=-1), np.array(-1), [1, 0, 0]),
        (spaces.MultiDiscrete([2, 3]), np.array([1, 0]), [0, 1, 1, 0, 0]),
        (spaces.MultiDiscrete([2, 3], start=[5, 1]), np.array([5, 3]), [1, 0, 0, 0, 1]),
        (spaces.MultiDiscrete([[2, 2], [2, 3]]), np.array([[1, 0], [1, 2]]), [0, 1, 1, 0, 0, 1, 0, 0, 1]),
        (spaces.MultiBinary(3), np.array([1, 0, 1], np.int8), [1, 0, 1]),
        (spaces.MultiBinary([2, 2]), np.array([[1, 0], [0, 1]], np.int8), [1, 0, 0, 1]),
    ],
)
def test_each_space_is_encoded(space: spaces.Space[Any], value: np.ndarray, expected: list[float]) -> None:
    encoder = Encoder({"obs": space}, CONFIG, seeded())
    features = encoder({"obs": torch.as_tensor(value)})
    assert features.dtype == torch.float32
    assert encoder.out_features == len(expected)
    assert features.tolist() == expected
    many = encoder({"obs": torch.as_tensor(np.broadcast_to(value, (4, 2, *value.shape)).copy())})
    assert many.tolist() == [[expected] * 2] * 4


def test_a_dict_observation_becomes_one_vector_in_the_order_of_its_spaces() -> None:
    of = {
        "obs/camera": spaces.Box(0, 255, (10, 10, 3), np.uint8),
        "obs/arm_position": spaces.Box(-1, 1, (2,)),
        "obs/goal": spaces.Discrete(4),
    }
    encoder = Encoder(of, NetworkConfig(cnn="small"), seeded())
    observations = {key: torch.as_tensor(np.stack([space.sample() for _ in range(6)])) for key, space in of.items()}
    batch = {key: value.reshape(2, 3, *value.shape[1:]) for key, value in observations.items()}
    features = encoder({**batch, "reward": torch.zeros(2, 3)})
    assert features.shape == (2, 3, 128 + 2 + 4) == (2, 3, encoder.out_features)
    assert torch.equal(features[..., 128:130], batch["obs/arm_position"])
    features.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_initial_weights_do_not_depend_on_the_threads_that_make_them() -> None:
    before, networks = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            networks.append(MLP(4, NetworkConfig(hidden=(256, 256)), seeded(), outputs=2))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(one, two)


def test_an_unknown_space_names_its_key() -> None:
    with pytest.raises(UserError, match=r"observation 'obs/words': Text.* has no encoder"):
        Encoder({"obs/words": spaces.Text(5)}, CONFIG, seeded())


def test_statistics_have_the_shape_of_the_observation_and_are_saved_with_the_module() -> None:
    values = torch.randn(50, 4, 2, 3, generator=seeded()) * 3 + torch.arange(6.0).reshape(2, 3)
    normalizer, restored = Normalizer(2, 3), Normalizer(2, 3)
    normalizer.update(values)
    features = normalizer(values)
    torch.testing.assert_close(features.mean((0, 1)), torch.zeros(2, 3), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(features.std((0, 1), correction=0), torch.ones(2, 3), rtol=0.0, atol=1e-5)
    assert torch.equal(normalizer(values), features)  # only update moves them
    restored.load_state_dict(normalizer.state_dict())
    assert torch.equal(restored(values), features)


def within(actual: Tensor, expected: np.ndarray, scale: np.ndarray, relative: float = 1e-12) -> bool:
    return bool((np.abs(actual.numpy() - expected) <= relative * scale + 1e-300).all())


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    offset=st.floats(-1e3, 1e3),
    spread=st.floats(1.0, 1e2),
    seed=st.integers(0, 1000),
)
def test_parallel_updates_equal_the_statistics_of_all_data(
    sizes: list[int], offset: float, spread: float, seed: int
) -> None:
    batches = [np.random.default_rng((seed, i)).normal(offset, spread, (n, 3)) for i, n in enumerate(sizes)]
    normalizer = Normalizer(3)
    for batch in batches:
        normalizer.update(torch.as_tensor(batch))
    seen = np.concatenate(batches)
    assert normalizer.count.item() == len(seen)
    if len(seen):
        # Rounding of the mean is relative to the largest value, that of the variance to the mean square around it.
        assert within(normalizer.mean, seen.mean(0), np.abs(seen).max(0))
        assert within(normalizer.variance, seen.var(0), seen.var(0) + 1e-3 * np.square(seen).max(0))


def test_statistics_are_stable_baselines3s_from_the_same_start() -> None:
    from stable_baselines3.common.running_mean_std import RunningMeanStd

    theirs, ours, exact = RunningMeanStd(epsilon=1e-4, shape=(4,)), Normalizer(4), Normalizer(4)
    ours.count.fill_(1e-4)  # it starts with a ten-thousandth of a sample of mean 0 and variance 1, we with none
    seen = [np.random.default_rng(i).normal(2.0, 3.0, (n, 4)) for i, n in enumerate((1, 16, 5, 128))]
    for batch in seen:
        theirs.update(batch)
        ours.update(torch.as_tensor(batch))
        exact.update(torch.as_tensor(batch))
    assert within(ours.mean, theirs.mean, np.abs(theirs.mean))
    assert within(ours.variance, theirs.var, theirs.var)
    assert within(exact.mean, theirs.mean, np.abs(theirs.mean), relative=1e-5)
    assert within(exact.mean, np.concatenate(seen).mean(0), np.abs(theirs.mean))


def test_the_normalizer_clips_and_is_the_identity_before_its_first_update() -> None:
    normalizer = Normalizer(2)
    raw = torch.tensor([[1e6, -1e6]])
    assert torch.equal(normalizer(raw), raw)
    normalizer.update(torch.randn(3, 7, 2, generator=seeded()))
    assert normalizer.count.item() == 21
    assert normalizer(raw).tolist() == [[10.0, -10.0]]
    assert normalizer(raw.double()).dtype == torch.float32
    constant = Normalizer(1)
    constant.update(torch.full((5, 1), 3.0))
    assert constant(torch.tensor([3.0])).item() == 0.0


def test_impossible_values_are_named() -> None:
    with pytest.raises(UserError, match=r"^hidden = \(64, 0\)"):
        NetworkConfig(hidden=(64, 0))
