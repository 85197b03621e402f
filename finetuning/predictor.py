"""Fine-tunes a predictor: it begins with the encoder of a pretrained one and learns from its own data.

All weights learn, or those that the optimizer's rules leave (finetuning/optimizer_rules.py). An anchor (L2-SP) may
hold the encoder to where it began.
"""

from __future__ import annotations

from dataclasses import dataclass

from pretraining import recipe
from pretraining.model import load_weights
from pretraining.predictor import Predictor, new_predictor
from pretraining.supervised import Supervised, SupervisedConfig, SupervisedRunConfig
from training.core import Budget
from training.data.splits import Splits
from training.errors import require
from training.optimizer.anchor import Anchor
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class FineTuneConfig(SupervisedRunConfig):
    """How a predictor is fine-tuned; `model` has the shape of the pretrained one."""

    anchor: float = 0.0
    """The weight of a penalty on the distance of the encoder to where it began; 0: none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.anchor >= 0.0, "anchor", self.anchor, "a number of at least 0")


def train(config: FineTuneConfig, run: Run, splits: Splits, pretrained: Predictor) -> None:
    """One run. The head is new, for the classes of these data. Raises UserError for an encoder of another shape."""
    model = new_predictor(splits.train, config.model, config.seed)
    for name in ("encoder", "preprocessing"):  # the features are of inputs as the pretrained one saw them
        own, other = model.get_submodule(name), pretrained.get_submodule(name)
        load_weights(own, other.state_dict(), source="the pretrained model")

    def make_algorithm(model: Predictor, own: SupervisedConfig, until: Budget) -> Supervised:
        encoder = {f"encoder.{key}": value for key, value in model.encoder.named_parameters()}
        anchor = Anchor(encoder, config.anchor) if config.anchor else None
        return Supervised(model, own, until=until, seed=config.seed, anchor=anchor)

    recipe.train(config, run, splits, model, make_algorithm)
