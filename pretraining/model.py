"""Networks that learn from data, saved with all that is needed to build them again and to use them on raw samples."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from gymnasium import Space
from torch import Tensor, nn

from envs.space_json import space_from_json, space_to_json
from training.errors import UserError
from training.options import config_from_tree, config_to_tree
from training.run.checkpoint import read_best, read_state
from training.run.folder import find_checkpoint
from training.saved_classes import find_class
from training.seeding import generator
from training.state import NetworkAndParts, State


class Model(nn.Module, ABC):
    """A network for samples of given spaces. It carries its preprocessing and knows no loss.

    Args:
        inputs: what it sees, by key.
        target: what it predicts; None: nothing.
        config: the model's own config dataclass, which is saved with it.

    A class of models takes `rng` too, which draws its weights.
    """

    def __init__(self, inputs: Mapping[str, Space[Any]], target: Space[Any] | None, config: Any) -> None:
        super().__init__()
        self.inputs, self.target, self.config = dict(inputs), target, config

    def save(self) -> State:
        """All that is needed to build the model again, without its experiment's code."""
        return {
            "kind": type(self).__name__,
            "inputs": {key: space_to_json(space) for key, space in self.inputs.items()},
            "target": None if self.target is None else space_to_json(self.target),
            "config": config_to_tree(self.config),
            "weights": self.state_dict(),
        }


class ModelAndParts(NetworkAndParts):
    """The base of algorithms that learn from data: what they save is their `model` and their parts."""

    network_name = "model"


def model_of(algorithm: State) -> Any:
    """The model in an algorithm's state; its weights are the averaged ones where its optimizer keeps those."""
    saved = algorithm["model"]
    kind, config = find_class(str(saved["kind"]), "pretraining", Model, source="the saved model")
    make: Any = kind  # which takes `rng` too
    model: Model = make(
        {key: space_from_json(space) for key, space in saved["inputs"].items()},
        None if saved["target"] is None else space_from_json(saved["target"]),
        config_from_tree(saved["config"], config(), source="the saved model"),
        generator(0, "overwritten by the weights"),
    )
    model.load_state_dict(saved["weights"])
    own = dict(model.named_parameters())
    with torch.no_grad():
        for key, average in algorithm.get("optimizer", {}).get("averages", {}).items():
            if key in own:  # others are of what only learning needs, such as a discriminator
                own[key].copy_(average)
    return model.eval()


def load_model(run: str | Path, which: Literal["best", "last"] = "best") -> Any:
    """The model of a run, with its preprocessing inside; of the last checkpoint where no best one was kept.

    Raises a UserError when the folder is not a run or holds no checkpoint.
    """
    checkpoint = find_checkpoint(Path(run), "last")
    if which == "best":
        checkpoint = read_best(checkpoint.parent) or checkpoint
    return model_of(read_state(checkpoint, "algorithm"))


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], *, source: str) -> None:
    """Loads the weights of a part by name. Raises UserError, naming the first thing that does not fit."""
    own = module.state_dict()
    for key in (*own, *weights):
        if key not in weights or key not in own:
            where = "this network has it and that one not" if key in own else "that network has it and this one not"
            raise UserError(f"{source} is of another architecture: {key!r}: {where}")
        if own[key].shape != weights[key].shape:
            shapes = f"{list(weights[key].shape)} there, {list(own[key].shape)} here"
            raise UserError(f"{source} is of another architecture: {key!r} is {shapes}")
    module.load_state_dict(dict(weights))
