"""A package of small experiments that learn from data and say what their data are."""

from __future__ import annotations

from pathlib import Path

PACKAGE = "learns"
LEARNS = '''"""Learns {name} a little."""
from dataclasses import dataclass
from pretraining import supervised
from pretraining.predictor import PredictorConfig
from pretraining.supervised import SupervisedRunConfig
from training.data.sources import sklearn_dataset
from training.data.splits import SplitConfig, split
from training.networks import NetworkConfig

CLAIMS = ()

@dataclass(frozen=True, kw_only=True)
class Config(SupervisedRunConfig):
    split: SplitConfig = SplitConfig("random")
    epochs: int | None = 2
    model: PredictorConfig = PredictorConfig(network=NetworkConfig(hidden=(8,), cnn="small", channels=(4, 4, 4)))

def data(config):
    return split(sklearn_dataset({name!r}), config.split, seed=config.seed)

def train(config, run):
    supervised.train(config, run, data(config))
'''


def write_package(folder: Path) -> str:
    """Writes the package into a folder; returns its name."""
    (folder / PACKAGE).mkdir()
    for name in ("breast_cancer", "diabetes", "digits"):
        (folder / PACKAGE / f"learns_{name}.py").write_text(LEARNS.format(name=name))
    (folder / PACKAGE / "__init__.py").write_text("")
    return PACKAGE
