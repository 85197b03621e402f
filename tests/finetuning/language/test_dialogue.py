"""Dialogues: which tokens are learned, that prompts have the tokens of training, and files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from finetuning.language.dialogue import PLAIN, TemplateConfig, read_dialogues, row_of, rows_of, split_dialogues
from pretraining.next_token import NextToken, NextTokenConfig
from tests.support.language_models import TEXTS, distinct_model
from training.core import Budget, Counters
from training.data.corpus import Tokenizer
from training.errors import UserError
from training.optimizer import OptimizerConfig

TOKENIZER = Tokenizer.trained(TEXTS, 280)
KEYS = ("tokens", "is_completion")
MARKS = TemplateConfig("\nQ: ", "\nA: ")


def test_answers_and_what_ends_them_are_learned_and_nothing_else() -> None:
    row = row_of([("one?", "1"), ("two?", "22")], TOKENIZER, MARKS)
    learned = TOKENIZER.decode([token for token, own in zip(*row, strict=True) if own and token != TOKENIZER.end])
    assert learned == "1\nQ: 22"
    assert row.tokens[0] == row.tokens[-1] == TOKENIZER.end
    assert row.is_completion[-1]
    assert not row.is_completion[0]
    assert TOKENIZER.decode(row.tokens[1:-1]) == "\nQ: one?\nA: 1\nQ: two?\nA: 22"


def test_a_prompt_has_the_tokens_of_training() -> None:
    row = row_of([(" one?", " 1"), ("two?", "2")], TOKENIZER, MARKS)
    asked = MARKS.asked(TOKENIZER, "two?", [(" one?", " 1")])
    assert row.tokens[1 : 1 + len(asked)] == asked
    assert MARKS.stop == ("\nQ: ",)
    assert PLAIN.stop == ()
    assert PLAIN.asked(TOKENIZER, "double") == TOKENIZER.encode("double")


def test_rows_are_padded_with_what_is_not_learned_and_none_is_cut() -> None:
    data = rows_of([[("a", "b")], [("abc", "def")]], TOKENIZER, PLAIN, context=20, source="here")
    batch = data.gather(torch.arange(2))
    assert batch["is_completion"].sum(1).tolist() == [2, 1 + len(TOKENIZER.encode("def"))]
    assert batch["tokens"].dtype == torch.int32
    with pytest.raises(UserError, match="here: dialogue 2 has 8 tokens: the context takes at most 7"):
        rows_of([[("a", "b")], [("abc", "xyz")]], TOKENIZER, PLAIN, context=6, source="here")


def test_the_loss_is_that_of_the_answers_alone_and_padding_changes_nothing() -> None:
    model = distinct_model()
    dialogues = [[("value", "double")], [("a", "b")], [("value *", "7")]]
    data = rows_of(dialogues, model.tokenizer, PLAIN, context=12, source="here")
    batch = data.gather(torch.arange(3))
    total, count = 0.0, 0
    for dialogue in dialogues:
        row = row_of(dialogue, model.tokenizer, PLAIN)
        with torch.no_grad():
            log = model(torch.tensor([row.tokens[:-1]]))[0].log_softmax(-1)
        for place, token in enumerate(row.tokens[1:]):
            if row.is_completion[place + 1]:
                total, count = total - float(log[place, token]), count + 1
    learner = NextToken(model, NextTokenConfig(), until=Budget(1, "updates"))
    measured = learner.measure(data.batches(2), "test")
    assert measured["loss_nats"] == pytest.approx(total / count, rel=1e-5)
    losses = []
    for parts in (1, 2, 3):  # parts that have other numbers of answers' tokens
        model = distinct_model()
        config = NextTokenConfig(OptimizerConfig("sgd", learning_rate=0.1, micro_batches=parts))
        metrics, _ = NextToken(model, config, until=Budget(1, "updates")).update(dict(batch), Counters())
        losses.append([float(metrics["learner/loss_nats"].value), float(model.embedding.weight.detach().sum())])
    assert losses[0][0] == pytest.approx(total / count, rel=1e-5)
    np.testing.assert_allclose(losses[1:], [losses[0]] * 2, rtol=1e-5)


def test_dialogues_are_read_in_two_forms_and_a_mistake_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "dialogues.jsonl"
    pairs = '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]'
    file.write_text(f'{{"prompt": "x", "completion": "y"}}\n\n{{"messages": {pairs}}}\n')
    assert read_dialogues(file) == [[("x", "y")], [("a", "b")]]
    for wrong in ("{", "3", '{"prompt": "x"}', '{"prompt": 1, "completion": "y"}', '{"messages": []}',
                  '{"messages": [{"role": "assistant", "content": "b"}]}',
                  '{"messages": [{"role": "user", "content": "b"}]}'):  # fmt: skip
        file.write_text(f'{{"prompt": "x", "completion": "y"}}\n{wrong}\n')
        with pytest.raises(UserError, match=r'dialogues.jsonl, line 2: it takes \{"prompt"'):
            read_dialogues(file)
    file.write_text("\n")
    with pytest.raises(UserError, match="is empty: it has no dialogue"):
        read_dialogues(file)
    with pytest.raises(UserError, match="cannot be read as dialogues: No such file or directory"):
        read_dialogues(tmp_path / "missing")


def test_a_question_is_in_one_split() -> None:
    dialogues = [[(f"value {index % 50}", str(index))] for index in range(150)]
    splits = split_dialogues(dialogues, TOKENIZER, PLAIN, context=20, source="here")
    assert sum(map(len, splits)) == 150
    asked = [
        {tuple(tokens[: learned.argmax()]) for tokens, learned in zip(*map(part.array, KEYS), strict=True)}
        for part in splits
    ]
    assert len(asked[0] | asked[1] | asked[2]) == sum(map(len, asked)) == 50
    with pytest.raises(UserError, match="here has 1 dialogues: none of them is for"):
        split_dialogues(dialogues[:1], TOKENIZER, PLAIN, context=20, source="here")
