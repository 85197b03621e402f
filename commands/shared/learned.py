"""What the model of a run that learned from data says of samples that it has not seen, or writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.html.learned import Bins, HeldOut, Sample, Worst
from training.experiments import read_run

if TYPE_CHECKING:  # torch comes with them
    from pretraining.predictions import Predictions
    from pretraining.predictor import Predictor
    from training.data.dataset import Dataset

MOST_ROWS = 50_000
"""Of the test split: a page is made in seconds."""
WORST = 12
OUTSTANDING = 4
"""Columns of a sample that are shown, those in which it differs the most from the others."""
WRITTEN = ((0.0, 1), (0.8, 1), (0.8, 2))
"""The temperature and the seed of each text that a language model writes."""
TOKENS = 160
WIDEST_MODEL = 50_000_000
"""Parameters of a language model that writes a sample in seconds."""


def held_out(folder: Path, package: str) -> HeldOut | str | None:
    """What the predictor of a run says of its test split, or why that is not known; None: the run has no predictor."""
    settings, experiment, config = read_run(folder, package)
    if hasattr(config, "env") or not hasattr(config, "minibatch_size"):
        return None
    from pretraining.model import model_of
    from pretraining.predictions import predictions

    saved = _saved(folder)
    if not isinstance(saved.get("model"), dict) or saved["model"].get("kind") != "Predictor":
        return None
    if not hasattr(experiment, "data"):
        return f"{settings['experiment']} does not say what its data are, which a function `data(config)` does."
    splits = experiment.data(config)
    known = settings.get("chosen", {}).get("data_sha256")
    if known is not None and known != [part.sha256 for part in splits]:
        return f"{splits.train.source} is other data than the run began with: nothing is shown."
    model: Predictor = model_of(saved)
    test = splits.test
    rows = min(len(test), MOST_ROWS)
    seen = test.select(np.arange(rows))
    found = predictions(model, seen, config.evaluation.minibatch_size)
    which = "all" if rows == len(test) else f"the first {rows:,} of"
    about = f"{which} {len(test):,} samples of the test split of {test.source}, by the best checkpoint"
    labels = tuple(map(str, test.labels or range(model.classes)))
    return HeldOut(
        about=about[0].upper() + about[1:],
        bins=Bins(*found.reliability),
        worst=list(_worst(found, seen, labels)),
        labels=labels if model.classes else (),
        confusion=found.confusion if model.classes else None,
    )


def samples(folder: Path, package: str) -> Sequence[Sample] | str:
    """Texts that the language model of a run writes, or why there are none; nothing: it is no such run."""
    _, _, config = read_run(folder, package)
    from pretraining.next_token import RowsRunConfig

    if not isinstance(config, RowsRunConfig):
        return ()
    import torch

    from finetuning.language_model import load_adapted
    from pretraining.language_model import LanguageModel
    from pretraining.sampling import SamplingConfig, complete

    model = load_adapted(folder)
    if not isinstance(model, LanguageModel):
        return "It is a model of another library, which is not asked to write here."
    size = sum(parameter.numel() for parameter in model.parameters())
    if size > WIDEST_MODEL:
        return f"It has {size:,} parameters: more than {WIDEST_MODEL:,} take long to write, so that it is not asked to."
    written = []
    for temperature, seed in WRITTEN:
        how_drawn = SamplingConfig(temperature, max_tokens=TOKENS)
        text = complete(model.eval(), "", torch.Generator().manual_seed(seed), how_drawn)
        how = "the likeliest tokens" if temperature == 0 else f"temperature {temperature}, seed {seed}"
        written.append(Sample(f"From nothing, {how}, at most {TOKENS} tokens", text))
    return written


def _saved(folder: Path) -> Any:
    """The algorithm in the run's best checkpoint, or in its last one where none was kept as the best."""
    from training.run.checkpoint import read_best, read_state
    from training.run.folder import find_checkpoint

    last = find_checkpoint(folder, "last")
    return read_state(read_best(last.parent) or last, "algorithm")


def _worst(found: Predictions, data: Dataset, labels: Sequence[str]) -> Iterator[Worst]:
    for row in found.worst(WORST):
        true, said = found.target[row], found.said[row]
        if found.of_classes:
            chosen = int(said.argmax())
            how = f"with {100 * said[chosen]:.0f} %; {labels[int(true)]} had {100 * said[int(true)]:.2g} %"
            words = labels[int(true)], labels[chosen]
        else:
            how = f"(off by {found.distance[row]:.4g})"
            words = _number(true), _number(said)
        yield Worst(int(row), *words, how, _outstanding(data, row), _pixels(data, row))


def _number(value: Any) -> str:
    return ", ".join(f"{one:.4g}" for one in np.ravel(value)[:OUTSTANDING])


def _pixels(data: Dataset, row: int) -> Any:
    """The image, where the one input is one."""
    inputs = data.inputs
    if list(inputs) != ["input"] or inputs["input"].dtype != np.uint8 or len(inputs["input"].shape or ()) not in (2, 3):
        return None
    return data.array("input")[row]


def _outstanding(data: Dataset, row: int) -> dict[str, str]:
    """The columns of a table in which the sample differs the most from the others, in their deviations."""
    if not data.columns:
        return {}
    values = data.array("input").astype(np.float64)
    away = (values[row] - values.mean(0)) / np.maximum(values.std(0), np.finfo(np.float64).tiny)
    most = np.argsort(-np.abs(away))[:OUTSTANDING]
    return {data.columns[i]: f"{values[row, i]:.4g} ({away[i]:+.1f} deviations)" for i in most}
