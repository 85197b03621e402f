"""Federated learning: clients train apart, and a server takes a step by the mean of what they have learned.

FedAvg (McMahan et al. 2017, https://arxiv.org/abs/1602.05629, algorithm 1), FedProx (Li et al. 2020,
https://arxiv.org/abs/1812.06127, equation 2) and FedAdam (Reddi et al. 2021, https://arxiv.org/abs/2003.00295,
algorithm 2) are one algorithm: the mean change of the clients' weights is minus a gradient,

    x <- x - step(-sum_i n_i (x_i - x) / sum_i n_i),

and the server's optimizer takes the step: SGD with rate 1 is FedAvg, and FedProx where the clients have an `anchor`;
Adam is FedAdam. Adam's moments are corrected for their zero start here, which algorithm 2 leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pretraining import recipe
from pretraining.model import ModelAndParts
from pretraining.predictor import Predictor, PredictorConfig, new_predictor
from pretraining.recipe import DataRunConfig, HeldOutConfig, Part
from pretraining.supervised import CLASS_SCORE, SupervisedConfig, measure
from regimes.clients import Client, Clients, LocalClients, LocalTraining, check_clients, check_model
from regimes.rounds import CHANGE, Aggregate, Rounds, WeightedMean, Weighting
from training.core import Batch, Budget, Counters, Every
from training.data.dataset import Dataset
from training.data.splits import Splits
from training.errors import require
from training.metrics import Metrics
from training.optimizer import Optimizer, OptimizerConfig
from training.optimizer.gradient import Gradient
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run


@dataclass(frozen=True)
class FederatedConfig:
    """Hyperparameters of the server and of its clients."""

    can_compile: ClassVar[bool] = False
    """The server's update has no loss that could be."""
    optimizer: OptimizerConfig = OptimizerConfig("sgd", learning_rate=1.0)
    """The server's: SGD with rate 1 takes the mean as it is."""
    client: SupervisedConfig = SupervisedConfig(optimizer=OptimizerConfig("sgd", learning_rate=0.1))
    """How clients learn in a round; their optimizer begins anew in each."""
    client_epochs: int = 2
    """Over its own samples, in each round."""
    anchor: float = 0.0
    """FedProx's mu: the weight of a penalty on a client's distance to the server; 0: none."""
    fraction: float = 0.5
    """Of the clients that are asked in a round."""
    dropout: float = 0.0
    """The part of those that never answer, on average."""
    weighting: Weighting = "samples"
    """What a client counts in the mean."""
    aggregation: Literal["plain", "secure"] = "plain"
    """secure: the server learns the clients' sum alone (regimes/secure_sum.py), where more than half of them answer."""

    def __post_init__(self) -> None:
        require(self.client_epochs >= 1, "client_epochs", self.client_epochs, "at least 1")
        require(self.anchor >= 0, "anchor", self.anchor, "a number of at least 0")
        require(0 < self.fraction <= 1, "fraction", self.fraction, "a fraction above 0")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "a fraction below 1")


class Federated(ModelAndParts):
    """Learns from rounds of clients: the server's optimizer steps by the mean change of their weights."""

    def __init__(self, model: Predictor, config: FederatedConfig, *, until: Budget) -> None:
        self.model = model
        self.score = CLASS_SCORE if model.classes else "r2"
        self._optimizer = Optimizer(dict(model.named_parameters()), config.optimizer, until=until)
        self.parts = {"optimizer": self._optimizer}

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        if not batch:  # nobody answered: there is nothing to step by
            return {}, {}
        device = self.model.temperature.device
        values = [-batch[CHANGE + name].to(device) for name in self._optimizer.trainable]
        return self._optimizer.apply(Gradient(values, batch["loss"].to(device), {}), now), {}

    def measure(self, batches: Iterable[Batch], part: Part) -> Mapping[str, float]:
        with self._optimizer.averaged():
            return measure(self.model, batches, part)


@dataclass(frozen=True, kw_only=True)
class FederatedRunConfig(DataRunConfig):
    """How a server and its clients are run."""

    algorithm: FederatedConfig = FederatedConfig()
    model: PredictorConfig = PredictorConfig()
    epochs: int | None = None
    steps: int | None = 150
    """The budget in rounds."""
    minibatch_size: int = 16
    """Of the clients."""
    workers: int = 0
    """Clients that train at once, on Ray; 0: one after the other in this process. The bits are the same."""
    ray_address: str | None = None
    """The Ray cluster on whose nodes they train; None: RAY_ADDRESS, or one that starts on this machine for this run."""
    evaluation: HeldOutConfig = field(default_factory=lambda: HeldOutConfig(every=Every(10, "updates")))
    log_every: Every = Every(10, "updates")
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(1, "updates"))
    """A signal ends the round in which it comes, so that at most this one is lost."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.epochs is None, "epochs", self.epochs, "None: the budget is in rounds, --steps")
        require(self.workers >= 0, "workers", self.workers, "at least 0")
        require(self.learners == 1, "learners", self.learners, "1: it is the clients that share the work, --workers")


def train(config: FederatedRunConfig, run: Run, splits: Splits, clients: Sequence[Client]) -> None:
    """One run of federated learning.

    Args:
        config: of the experiment.
        run: its folder.
        splits: `train` is all that the clients have together, of which only the mean and the variance of the inputs are
            taken, which are sums; validation and test are the server's.
        clients: at least one.

    Raises:
        UserError: a client has no samples, a value that is no number, or other columns than the others.
    """
    own = config.algorithm
    check_clients([*clients, Client("the server's validation", splits.validation)], config.model.preprocessing)
    model = new_predictor(splits.train, config.model, config.seed)
    check_model(model)

    def make_algorithm(model: Predictor, own: FederatedConfig, until: Budget) -> Federated:
        return Federated(model, own, until=until)

    with _clients(config, local_training(config, model), clients) as asked:

        def make_stream(_: Dataset) -> Rounds:
            return Rounds(
                asked,
                dict(model.named_parameters()),
                _aggregate(own),
                fraction=own.fraction,
                dropout=own.dropout,
                seed=config.seed,
            )

        recipe.train(config, run, splits, model, make_algorithm, make_stream=make_stream)


def _aggregate(config: FederatedConfig) -> Aggregate:
    if config.aggregation == "plain":
        return WeightedMean(config.weighting)
    from regimes.secure_mean import SecureMean

    return SecureMean(config.weighting)


def local_training(config: FederatedRunConfig, model: Predictor, *, epochs: int | None = None) -> LocalTraining:
    """What a client does in a round; with other `epochs`, what it can do alone."""
    own = config.algorithm
    return LocalTraining(
        model,
        own.client,
        epochs=epochs or own.client_epochs,
        minibatch_size=config.minibatch_size,
        anchor=own.anchor if epochs is None else 0.0,
        seed=config.seed,
    )


def alone(config: FederatedRunConfig, splits: Splits, clients: Sequence[Client]) -> list[dict[str, float]]:
    """What each client's own model measures on the test split, if it learns alone for as many epochs as it has in the
    rounds, on average."""
    assert config.steps is not None
    epochs = max(1, round(config.steps * config.algorithm.fraction * config.algorithm.client_epochs))
    model = new_predictor(splits.train, config.model, config.seed)
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    training, found = local_training(config, model, epochs=epochs), []
    for client in clients:
        training.train(client, start, 0)
        found.append(measure(training.model, splits.test.batches(config.evaluation.minibatch_size), "test"))
    return found


@contextmanager
def _clients(config: FederatedRunConfig, training: LocalTraining, clients: Sequence[Client]) -> Iterator[Clients]:
    """Here, or on Ray."""
    if not config.workers:
        yield LocalClients(training, clients)
        return
    from regimes.ray_clients import RayClients

    with RayClients.on(config.ray_address, training, clients, workers=config.workers) as asked:
        yield asked
