"""What domain adaptation learns from: labelled samples of a source domain, unlabelled ones of a target domain."""

from __future__ import annotations

import torch
from torch import Tensor

from pretraining.predictor import Predictor
from training.core import Batch, Counters
from training.data.dataset import Dataset
from training.data.streams import Shuffled
from training.errors import UserError
from training.metrics import Metrics
from training.seeding import derived_seed
from training.state import State


class Domains:
    """A minibatch of each domain as one batch [2 B, ...]: the inputs, `target` (0 where it is unknown), `is_source`.

    Epochs and samples are those of the source. The minibatches that end an epoch may be smaller, in each domain at
    another time.
    """

    def __init__(self, source: Dataset, target: Dataset, minibatch_size: int, *, seed: int) -> None:
        self._source = Shuffled(source, minibatch_size, seed=seed)
        self._target = Shuffled(target, minibatch_size, seed=derived_seed(seed, "target domain"))

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        source, after, metrics = self._source.next(now)
        other, _, _ = self._target.next(now)
        inputs = [key for key in source if key.split("/")[0] == "input"]
        batch = {key: torch.cat([source[key], other[key]]) for key in inputs}
        sizes = len(source["target"]), len(other[inputs[0]])
        batch["target"] = torch.cat([source["target"], torch.zeros(sizes[1], dtype=torch.int64)])
        batch["is_source"] = torch.arange(sum(sizes)) < sizes[0]
        return batch, after, metrics

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: no sample is preferred."""

    def state_dict(self) -> State:
        return {"source": self._source.state_dict(), "target": self._target.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._source.load_state_dict(state["source"])
        self._target.load_state_dict(state["target"])


def check_encoder(model: Predictor) -> None:
    """Raises UserError for a model whose features are the inputs as they are: there is nothing to adapt."""
    if not any(True for _ in model.encoder.parameters()):
        raise UserError("model: it encodes these inputs without weights, so that no feature can be adapted; see 'cnn'")


def shares(is_source: Tensor) -> Tensor:
    """What each sample [S] counts in a mean over its domain, as a part of the whole batch: S / (samples of its domain).

    So a sum of losses times shares, divided by S, is the mean over the source plus that over the target, however the
    batch is split into micro-batches.
    """
    source = is_source.float()
    return len(source) * (source / source.sum() + (1 - source) / (1 - source).sum())
