"""Recommendation: what else somebody will like, from what that one and others have liked.

A denoising autoencoder with the multinomial likelihood (Mult-DAE of Liang et al. 2018,
https://arxiv.org/abs/1802.05814): a part of what somebody liked is hidden, and all of it is to be said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import Space
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812

from pretraining import recipe
from pretraining.model import Model, ModelAndParts
from pretraining.recipe import DataRunConfig, Part
from training.core import Batch, Budget, Counters, to_device
from training.data.splits import Splits
from training.errors import require
from training.metrics import Metrics
from training.networks import MLP, NetworkConfig
from training.optimizer import Loss, Optimizer, OptimizerConfig
from training.run.run import Run
from training.seeding import generator

AT = 20
"""The length of the list that is judged."""


@dataclass(frozen=True)
class LikesAutoencoderConfig:
    """The shape of an autoencoder of likes."""

    network: NetworkConfig = NetworkConfig(hidden=(200,), activation="tanh")


class LikesAutoencoder(Model):
    """What somebody liked, `input` [B, items] of 0 and 1, -> a score of each item [B, items]."""

    def __init__(
        self,
        inputs: Mapping[str, Space[Any]],
        target: Space[Any] | None,
        config: LikesAutoencoderConfig,
        rng: Generator,
    ) -> None:
        super().__init__(inputs, target, config)
        (items,) = inputs["input"].shape or (0,)
        self.classes, self.shape = 0, (items,)
        self.network = MLP(items, config.network, rng, outputs=items, gain=0.01)

    def features(self, batch: Batch) -> Tensor:
        """What the network sees [B, items]: vectors of length 1, so that it does not matter how many are liked."""
        return F.normalize(batch["input"].float(), dim=-1)

    def forward(self, batch: Batch) -> Tensor:
        scores: Tensor = self.network(self.features(batch))
        return scores

    @torch.no_grad()
    def predict(self, batch: Batch) -> Tensor:
        """The scores; what is liked already has one too."""
        scores: Tensor = self(batch)
        return scores


@dataclass(frozen=True)
class LikesConfig:
    """Hyperparameters of learning from likes."""

    hidden: float = 0.5
    """The part of what somebody liked that is hidden each time."""
    optimizer: OptimizerConfig = OptimizerConfig("adamw", learning_rate=1e-3)

    def __post_init__(self) -> None:
        require(0 <= self.hidden < 1, "hidden", self.hidden, "a fraction in [0, 1)")


class LikesLearning(ModelAndParts):
    """Learns from samples [B, ...] whose `input` [B, items] is what each liked: says what of it was hidden.

    It is measured by a `target` [S, items], which is what each liked later.
    """

    score = "ndcg"

    def __init__(self, model: LikesAutoencoder, config: LikesConfig, *, until: Budget, seed: int) -> None:
        self.model, self._config = model, config
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until)
        self._rng = generator(seed, "hidden likes")
        self.parts = {"optimizer": self._optimizer, "rng": self._rng}

    def averaged(self) -> AbstractContextManager[None]:
        """Inside, the model has its averaged weights, where the optimizer keeps such."""
        return self._optimizer.averaged()

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        liked = batch["input"].float()
        kept = torch.rand(liked.shape, generator=self._rng) >= self._config.hidden
        seen = to_device({"input": liked * kept, "liked": liked}, next(self.model.parameters()).device)
        return self._optimizer.step(self._loss, seen, now), {}

    def _loss(self, batch: Batch) -> Loss:
        return multinomial_loss(self.model(batch), batch["liked"])

    @torch.no_grad()
    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        device, found = next(self.model.parameters()).device, []
        with self.averaged():
            for batch in batches:
                scores = self.model.predict(to_device(batch, device)).cpu().numpy()
                found.append(list_measures(scores, batch["input"].numpy() > 0, batch["target"].numpy() > 0))
        ndcg, recall = (np.concatenate(values) for values in zip(*found, strict=True))
        return {"ndcg": float(ndcg.mean()), "recall": float(recall.mean())}


def multinomial_loss(scores: Tensor, liked: Tensor) -> Loss:
    """The negative log likelihood of all that each liked [B, items] under a softmax of scores [B, items]."""
    likelihood = (F.log_softmax(scores.float(), -1) * liked).sum(-1)
    return Loss(-likelihood.sum(), len(liked), {})


def list_measures(
    scores: NDArray[Any], known: NDArray[np.bool_], later: NDArray[np.bool_], at: int = AT
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of the `at` highest scores [S, items] among what is not known: the discounted gain as a part of the best one that
    could be (NDCG, Jarvelin and Kekalainen 2002), and how much of what was liked later is in it, of at most `at`; both
    [S]. Who liked nothing later has 0."""
    hidden = np.where(known, -np.inf, scores.astype(np.float64))
    top = np.argsort(-hidden, axis=1, kind="stable")[:, :at]
    hit = np.take_along_axis(later, top, 1)
    discount = 1 / np.log2(np.arange(2, at + 2))[: top.shape[1]]
    wanted = np.minimum(later.sum(1), at)
    best = np.concatenate([[0.0], discount.cumsum()])[np.minimum(wanted, len(discount))]
    return (hit * discount).sum(1) / np.maximum(best, 1e-12), hit.sum(1) / np.maximum(wanted, 1)


@dataclass(frozen=True, kw_only=True)
class LikesRunConfig(DataRunConfig):
    """How an autoencoder of likes is trained."""

    algorithm: LikesConfig = LikesConfig()
    model: LikesAutoencoderConfig = LikesAutoencoderConfig()


def train(config: LikesRunConfig, run: Run, splits: Splits, *, measure: Any = None) -> None:
    """One run; `measure` as in `recipe.train`."""
    train = splits.train
    model = LikesAutoencoder(train.inputs, None, config.model, generator(config.seed, "weights"))

    def make_algorithm(model: LikesAutoencoder, own: LikesConfig, until: Budget) -> LikesLearning:
        return LikesLearning(model, own, until=until, seed=config.seed)

    recipe.train(config, run, splits, model, make_algorithm, measure=measure)
