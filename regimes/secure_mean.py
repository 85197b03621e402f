"""The mean of a round's clients by secure aggregation: the server sees their sum, and the change of none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from regimes.clients import Answer, Weights
from regimes.rounds import Weighting, weight_of
from regimes.secure_sum import from_numbers, majority, secure_sum, to_numbers
from training.metrics import Metrics
from training.state import State


class SecureMean:
    """The mean of `WeightedMean` to the 24th binary place, of which more than half of those asked must answer.

    Each client sends its weight, and its weight times its change, in fixed point; clients that were asked and do not
    answer drop out after the keys are agreed on.
    """

    def __init__(self, weighting: Weighting = "samples") -> None:
        self._weighting = weighting

    def fewest(self, asked: int) -> int:
        return majority(asked)

    def __call__(self, answers: Mapping[int, Answer], asked: Sequence[int]) -> tuple[Weights, Metrics]:
        shapes = {name: value.shape for name, value in next(iter(answers.values())).change.items()}
        nothing = np.zeros(1 + sum(shape.numel() for shape in shapes.values()), np.uint64)
        sent = {
            party: to_numbers(_flat(answers[client], self._weighting), len(asked)) if client in answers else nothing
            for party, client in enumerate(asked, 1)
        }
        gone = [party for party, client in enumerate(asked, 1) if client not in answers]
        weight, *_ = total = from_numbers(secure_sum(sent, majority(len(asked)), gone))
        parts = torch.from_numpy(total[1:] / weight).float().split([shape.numel() for shape in shapes.values()])
        return {name: part.view(shape) for part, (name, shape) in zip(parts, shapes.items(), strict=True)}, {}

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        """It remembers nothing: keys are new in every round."""


def _flat(answer: Answer, weighting: Weighting) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    weight = weight_of(answer, weighting)
    flat = torch.cat([value.reshape(-1) for value in answer.change.values()]).double().numpy()
    return np.concatenate([[weight], weight * flat])
