"""The language model: documents in a row, and what it refuses. Drawing from it: tests/pretraining/test_sampling.py."""

from __future__ import annotations

import pytest
import torch

from pretraining.language_model import LanguageModel, LanguageModelConfig
from tests.support.language_models import distinct_model
from training.errors import UserError
from training.networks.transformer import TransformerConfig


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return distinct_model()


def test_documents_in_one_row_do_not_see_each_other(model: LanguageModel) -> None:
    end = model.tokenizer.end
    one, other = [end, 30, 31, 32], [end, 40, 41]
    with torch.no_grad():
        together = model(torch.tensor([one + other]))
        alone = torch.cat([model(torch.tensor([one])), model(torch.tensor([other]))], dim=1)
    torch.testing.assert_close(together, alone)


def test_only_rotary_positions_tell_the_model_where_a_token_is() -> None:
    with pytest.raises(UserError, match=r"transformer\.position = 'none': it takes 'rotary'"):
        LanguageModelConfig(TransformerConfig(width=16))
