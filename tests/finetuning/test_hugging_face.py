"""Hugging Face's models from a folder: no code of theirs runs, and what does not fit is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from finetuning.hugging_face import HuggingFaceModel, export, load_pretrained
from tests.support.language_models import TEXTS, gpt2, llama_checkpoint
from training.data.corpus import END, Tokenizer
from training.errors import UserError


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.trained(TEXTS, 280)


@pytest.fixture
def checkpoint(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    return llama_checkpoint(tokenizer, tmp_path / "checkpoint")


def test_what_is_no_model_is_told(checkpoint: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded as a language model"):
        load_pretrained(tmp_path)
    (checkpoint / "model.safetensors").rename(checkpoint / "elsewhere")
    torch.save({}, checkpoint / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"cannot be loaded as a language model: .*safetensors"):
        load_pretrained(checkpoint)


def test_code_that_comes_with_a_checkpoint_is_not_run(checkpoint: Path) -> None:
    config = (checkpoint / "config.json").read_text()
    own = '{\n  "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.OwnModel"},'
    changed = config.replace("{", own, 1).replace('"model_type": "llama"', '"model_type": "own"')
    (checkpoint / "config.json").write_text(changed)
    (checkpoint / "own.py").write_text("raise SystemExit('it ran')\n")
    with pytest.raises(UserError, match="cannot be loaded as a language model"):
        load_pretrained(checkpoint)


def test_a_vocabulary_that_does_not_match_is_told(tokenizer: Tokenizer, tmp_path: Path) -> None:
    export(HuggingFaceModel(gpt2(vocabulary=200, width=16, layers=1, heads=2), tokenizer), tmp_path / "small")
    with pytest.raises(UserError, match="small: its vocabulary has 200 tokens, the tokenizer 280"):
        load_pretrained(tmp_path / "small")
    with pytest.raises(UserError, match="the tokenizer has no token '</s>'"):
        Tokenizer(tokenizer.to_json(), "</s>")
    assert tokenizer.end_text == END
