"""The variational autoencoder: its bound is that of torch's distributions, and it makes new samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from pretraining import variational_autoencoder
from pretraining.model import load_model
from pretraining.variational_autoencoder import (
    VariationalAutoencoder,
    VariationalAutoencoderConfig,
    VariationalConfig,
    VariationalRunConfig,
    elbo_loss,
    kl_from_standard_normal,
    normal_log_likelihood,
)
from tests.support.data import clouds
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.run import Run
from training.seeding import generator

NETWORK = NetworkConfig(hidden=(16,), activation="relu", cnn="small")


SHORT: dict[str, Any] = {"epochs": 2, "minibatch_size": 32, "threads": 1}


def test_the_evidence_lower_bound_is_that_of_torchs_distributions() -> None:
    rng = generator(1, "numbers")
    mean, log_std, values, decoded = (torch.randn(4, 5, generator=rng) for _ in range(4))
    prior = Normal(torch.zeros(4, 5), torch.ones(4, 5))
    divergence = kl_from_standard_normal(mean, log_std)
    torch.testing.assert_close(divergence, kl_divergence(Normal(mean, log_std.exp()), prior).sum(1))
    assert torch.equal(kl_from_standard_normal(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2))
    scale = torch.tensor(-0.3)
    likelihood = normal_log_likelihood(values, decoded, scale)
    torch.testing.assert_close(likelihood, Normal(decoded, scale.exp()).log_prob(values).sum(1))
    loss = elbo_loss(likelihood, divergence, 1.0)
    torch.testing.assert_close(loss.sum / loss.count, (divergence - likelihood).mean())


def test_the_bound_is_below_the_likelihood_and_reaches_it_where_the_posterior_is_right() -> None:
    """x = z + noise of a standard normal z: then p(x) is normal with variance 1 + s^2, and the posterior is known."""
    rng, s = generator(1, "numbers"), 0.5
    x = torch.randn(1, 1, generator=rng).expand(20_000, 1)
    exact = Normal(0.0, (1 + s**2) ** 0.5).log_prob(x[:1, 0])
    variance = s**2 / (1 + s**2)
    bounds = []
    for mean, std in ((x / (1 + s**2), variance**0.5), (x * 0.3, 0.8)):
        log_std = torch.full_like(x, float(np.log(std)))
        code = mean + std * torch.randn(x.shape, generator=rng)
        likelihood = normal_log_likelihood(x, code, torch.tensor(np.log(s)))
        bounds.append(float((likelihood - kl_from_standard_normal(mean, log_std)).mean()))
    assert bounds[0] == pytest.approx(float(exact), abs=0.03)
    assert bounds[1] < float(exact) - 0.05


def test_an_input_deviation_beyond_its_bound_is_led_back() -> None:
    low, high = variational_autoencoder.LOG_STD_RANGE
    for beyond, error in ((high + 0.1, 0.0), (low - 0.1, 1.0)):
        scale = torch.tensor(beyond, requires_grad=True)
        (-normal_log_likelihood(torch.full((4, 2), error), torch.zeros(4, 2), scale).sum()).backward()
        assert scale.grad is not None
        assert scale.grad * beyond > 0, "down the gradient is the way back"


def test_a_codes_deviation_beyond_its_bound_is_led_back(monkeypatch: pytest.MonkeyPatch) -> None:
    low, high = variational_autoencoder.LOG_STD_RANGE
    shape = VariationalAutoencoderConfig(network=NETWORK, code=1)
    model = VariationalAutoencoder(clouds().train.inputs, None, shape, generator(1))
    encoded = torch.tensor([[0.0, high + 0.1], [0.0, low - 0.1]], requires_grad=True)
    monkeypatch.setattr(model, "encoded", lambda _: encoded)
    kl_from_standard_normal(*model.posterior({})).sum().backward()
    assert encoded.grad is not None
    assert encoded.grad[0, 1] > 0
    assert encoded.grad[1, 1] < 0


def test_a_variational_autoencoder_reconstructs_and_makes_new_samples(tmp_path: Path) -> None:
    shape = VariationalAutoencoderConfig(network=NETWORK, code=3)
    learns = VariationalConfig(optimizer=OptimizerConfig(learning_rate=5e-3))
    config = VariationalRunConfig(model=shape, algorithm=learns, **{**SHORT, "epochs": 100})
    with Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run:
        variational_autoencoder.train(config, run, clouds())
    measured = run.result["metrics"]
    assert measured["test/r2"] > 0.5
    assert measured["test/evidence_lower_bound"] > -3 * 0.5 * np.log(2 * np.pi * np.e)  # that of one normal for all
    model = load_model(run.folder, "last")
    assert isinstance(model, VariationalAutoencoder)
    assert model.sample(200, generator(1, "new")).std(0).min() > 0.3
