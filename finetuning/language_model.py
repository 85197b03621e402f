"""Fine-tunes a language model, ours or Hugging Face's, on another corpus.

All weights learn, or those that the optimizer's rules leave (finetuning/optimizer_rules.py), or adapters alone
(finetuning/lora.py). An anchor (L2-SP) may hold them to where they began.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from finetuning import hugging_face, lora
from finetuning.hugging_face import HuggingFaceModel
from finetuning.lora import LoRAConfig
from finetuning.optimizer_rules import LORA_RULES
from pretraining import language_model, next_token
from pretraining.language_model import LanguageModel, load_weights
from pretraining.next_token import NextToken, RowsRunConfig
from training.data.splits import Splits
from training.errors import UserError, require
from training.options import config_from_tree, config_to_tree
from training.run.checkpoint import read_state
from training.run.files import read_json
from training.run.folder import find_checkpoint
from training.run.run import Run
from training.seeding import generator

PART = RowsRunConfig.algorithm_field
"""The part of a checkpoint that holds a language model."""


@dataclass(frozen=True, kw_only=True)
class AdaptConfig(RowsRunConfig):
    """How a language model is fine-tuned."""

    lora: LoRAConfig | None = None
    """Train adapters alone; None: what the optimizer's rules say."""
    anchor: float = 0.0
    """The weight of a penalty on the distance to the pretrained weights; 0: none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.anchor >= 0.0, "anchor", self.anchor, "a number of at least 0")
        takes = "0 with lora: the pretrained weights do not move"
        require(self.lora is None or self.anchor == 0.0, "anchor", self.anchor, takes)
        alone = self.lora is None or not self.algorithm.optimizer.rules
        require(alone, "algorithm.optimizer.rules", self.algorithm.optimizer.rules, "() with lora, which sets them")


def train(
    config: AdaptConfig,
    run: Run,
    model: LanguageModel | HuggingFaceModel,
    rows: Splits,
    *,
    measure: Callable[[NextToken], Mapping[str, float]] | None = None,
) -> None:
    """One run, which changes the model.

    Args:
        config: of this run.
        run: its folder.
        model: with its tokenizer.
        rows: of its tokens, such as a corpus gives them (`TokenizedCorpus.rows`).
        measure: what else the result holds.
    """
    own = config.algorithm
    if config.lora is not None:
        add_adapters(model, config.lora, config.seed)
        own = replace(own, optimizer=replace(own.optimizer, rules=LORA_RULES))
    config = replace(config, lora=None, algorithm=own)
    next_token.train_on_rows(config, run, model, rows, anchor=config.anchor, measure=measure)


def add_adapters(model: LanguageModel | HuggingFaceModel, config: LoRAConfig, seed: int) -> None:
    """Puts adapters into the model, which are saved with it."""
    lora.inject(model, config, generator(seed, "lora"))
    model.lora = config_to_tree(config)


def load_adapted(run: str | Path, which: Literal["best", "last"] = "last") -> LanguageModel | HuggingFaceModel:
    """The model of a run of `train`, its adapters merged into its weights.

    Raises UserError when the folder is not a run of a language model or holds no checkpoint.
    """
    checkpoint = find_checkpoint(Path(run), which)
    algorithm = read_state(checkpoint, PART) if PART in read_json(checkpoint / "manifest.json")["parts"] else {}
    saved = algorithm.get("model", {})
    if saved.get("kind") not in ("LanguageModel", "HuggingFaceModel"):
        raise UserError(f"{run} is no run of a language model: it has none that could write")
    kind = hugging_face if saved["kind"] == "HuggingFaceModel" else language_model
    model: LanguageModel | HuggingFaceModel = kind.build(saved)
    if saved["lora"] is not None:
        add_adapters(model, config_from_tree(saved["lora"], LoRAConfig(), source="the saved model"), seed=0)
    load_weights(model, algorithm)
    if saved["lora"] is not None:
        lora.merge(model)
        model.lora = None
    return model
