"""Variational autoencoder (Kingma and Welling 2014, https://arxiv.org/abs/1312.6114).

The code's prior is a standard normal, its posterior a diagonal one (appendix B), and each input a normal around its
reconstruction with one learned standard deviation (the "sigma-VAE" of Rybkin et al. 2021,
https://arxiv.org/abs/2006.13202, section 3.1), so that nothing has to be weighed by hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import Space
from torch import Generator, Tensor, nn

from pretraining import recipe
from pretraining.autoencoder import Autoencoder, AutoencoderConfig
from pretraining.model import ModelAndParts
from pretraining.recipe import DataRunConfig, Part
from training.core import Batch, Budget, Counters, to_device
from training.data.flat_inputs import explained
from training.data.preprocessing import check_numbers
from training.data.splits import Splits
from training.errors import require
from training.metrics import Mean, Metrics
from training.networks.bounds import bounded
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run
from training.seeding import generator

LOG_STD_RANGE = (-5.0, 2.0)
"""Of the inputs and of the code: where a number is always the same, the likelihood has no bound."""


@dataclass(frozen=True)
class VariationalAutoencoderConfig(AutoencoderConfig):
    """The shape of a variational autoencoder."""


class VariationalAutoencoder(Autoencoder):
    """Its encoder gives the mean and the logarithm of the standard deviation of each number of the code."""

    per_code = 2

    def __init__(
        self, inputs: Mapping[str, Space[Any]], target: Space[Any] | None, config: AutoencoderConfig, rng: Generator
    ) -> None:
        super().__init__(inputs, target, config, rng)
        self.input_log_std = nn.Parameter(torch.zeros(()))

    def posterior(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of the code, both [B, code]."""
        mean, log_std = self.encoded(batch).float().chunk(2, 1)
        return mean, bounded(log_std, *LOG_STD_RANGE)

    def decoded(self, code: Tensor) -> Tensor:
        """The mean of the inputs [B, F] for a code [B, code]."""
        decoded: Tensor = self.from_code(code)
        return decoded

    @torch.no_grad()
    def sample(self, samples: int, rng: Generator) -> Tensor:
        """New inputs [samples, F], as the means of the model's normals for codes of the prior."""
        code = torch.randn(samples, self.config.code, generator=rng)
        return self.decoded(code.to(self.input_log_std.device))


@dataclass(frozen=True)
class VariationalConfig:
    """Hyperparameters of a variational autoencoder."""

    kl_weight: float = 1.0
    """Of the divergence from the prior; 1 is the evidence lower bound (Higgins et al. 2017 call it beta)."""
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3)

    def __post_init__(self) -> None:
        require(0 <= self.kl_weight < math.inf, "kl_weight", self.kl_weight, "a number of at least 0")


class Variational(ModelAndParts):
    """Learns from samples [B, ...]: raises the evidence lower bound, with one draw of each code."""

    score = "evidence_lower_bound"

    def __init__(self, model: VariationalAutoencoder, config: VariationalConfig, *, until: Budget, seed: int) -> None:
        self.model, self._config, self._seed = model, config, seed
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until)
        self._rng = generator(seed, "codes")
        self.parts = {"optimizer": self._optimizer, "rng": self._rng}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        return self._optimizer.step(self._loss, self._with_noise(batch, self._rng), now), {}

    def _with_noise(self, batch: Batch, rng: Generator) -> Batch:
        rows = len(next(iter(batch.values())))
        noise = torch.randn(rows, self.model.config.code, generator=rng)
        return to_device({**batch, "noise": noise}, self.model.input_log_std.device)

    def _loss(self, batch: Batch) -> Loss:
        return elbo_loss(*self._terms(batch), self._config.kl_weight)

    def _terms(self, batch: Batch) -> tuple[Tensor, Tensor]:
        mean, log_std = self.model.posterior(batch)
        decoded = self.model.decoded(mean + log_std.exp() * batch["noise"])
        likelihood = normal_log_likelihood(self.model.original(batch), decoded, self.model.input_log_std)
        return likelihood, kl_from_standard_normal(mean, log_std)

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        rng = generator(self._seed, "measured codes", part)  # the same noise in each measurement
        likelihoods, divergences, originals, reconstructions = [], [], [], []
        with self._optimizer.averaged():
            for batch in batches:
                seen = self._with_noise(batch, rng)
                likelihood, divergence = self._terms(seen)
                likelihoods.append(likelihood.cpu())
                divergences.append(divergence.cpu())
                originals.append(self.model.original(seen).cpu())
                reconstructions.append(self.model(seen).cpu())
        likelihood, divergence = torch.cat(likelihoods), torch.cat(divergences)
        return {
            "evidence_lower_bound": float((likelihood - divergence).mean()),
            "code_divergence": float(divergence.mean()),
            "r2": explained(torch.cat(originals), torch.cat(reconstructions)),
        }


def kl_from_standard_normal(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, std^2) || N(0, 1)) [B], summed over the code [B, code] (appendix B)."""
    return 0.5 * (mean.square() + (2 * log_std).exp() - 1.0 - 2 * log_std).sum(1)


def normal_log_likelihood(values: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log N(values; mean, std^2) [B] of [B, F], with one standard deviation []."""
    log_std = bounded(log_std, *LOG_STD_RANGE)
    standardized = (values - mean) * (-log_std).exp()
    return -(0.5 * standardized.square() + log_std + 0.5 * math.log(2 * math.pi)).sum(1)


def elbo_loss(likelihood: Tensor, divergence: Tensor, kl_weight: float) -> Loss:
    """The negative evidence lower bound (equation 3) of both terms [B]."""
    loss, rows = kl_weight * divergence - likelihood, len(likelihood)
    measured: Metrics = {
        "learner/log_likelihood": Mean(likelihood.detach().mean(), rows),
        "learner/code_divergence": Mean(divergence.detach().mean(), rows),
    }
    return Loss(loss.sum(), rows, measured)


@dataclass(frozen=True, kw_only=True)
class VariationalRunConfig(DataRunConfig):
    """How a variational autoencoder is trained."""

    algorithm: VariationalConfig = VariationalConfig()
    model: VariationalAutoencoderConfig = VariationalAutoencoderConfig()


def train(config: VariationalRunConfig, run: Run, splits: Splits, *, measure: Any = None) -> None:
    """One run; `measure` as in `recipe.train`."""
    check_numbers(splits, config.model.preprocessing)
    model = VariationalAutoencoder(splits.train.inputs, None, config.model, generator(config.seed, "weights"))
    model.preprocessing.fit(splits.train)

    def make_algorithm(model: VariationalAutoencoder, own: VariationalConfig, until: Budget) -> Variational:
        return Variational(model, own, until=until, seed=config.seed)

    recipe.train(config, run, splits, model, make_algorithm, measure=measure)
