"""A predictor as one module of torch: from raw samples to probabilities, or to numbers in the target's unit."""

from __future__ import annotations

import torch
from gymnasium import spaces
from torch import nn

from envs.spaces import leaves
from pretraining.predictor import Predictor
from pretraining.recommend import LikesAutoencoder
from pretraining.survival import SurvivalNetwork
from serving.signature import Signature, Value
from training.core import Batch

KINDS = (Predictor, SurvivalNetwork, LikesAutoencoder)
"""The models that say something of a raw sample with `predict`."""
PROBABILITIES, NUMBERS = "probabilities", "numbers"


class PredictingModule(nn.Module):
    """Raw samples [N, ...] -> `probabilities` [N, classes], by the temperature that was fitted, or `numbers`
    [N, *shape]; preprocessing is inside. `signature` lists what it takes and gives. The numbers of a survival network
    are the probabilities of the event by each of its horizons, those of an autoencoder
    of likes the scores of all items.
    """

    def __init__(self, model: Predictor | SurvivalNetwork | LikesAutoencoder) -> None:
        super().__init__()
        self.model = model.cpu().eval()
        self._output = PROBABILITIES if model.classes else NUMBERS
        shape = (model.classes,) if model.classes else model.shape
        low, high = (0.0, 1.0) if model.classes else (-torch.inf, torch.inf)
        inputs = [
            Value(key, leaf.space, leaf.dtype.name) for key, space in model.inputs.items() for leaf in leaves(space)
        ]
        self.signature = Signature(tuple(inputs), (Value(self._output, spaces.Box(low, high, shape), "float32"),))

    def forward(self, inputs: Batch) -> Batch:
        return {self._output: self.model.predict(inputs)}
