"""Dialogues as rows of tokens, of which the answers alone are learned: supervised fine-tuning (SFT).

A dialogue is a document: the end token, then each question and its answer, each behind its mark, and the end token.
Learned are the answers, the end token behind the last one, and the mark behind the others, by which an answer ends.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from gymnasium import spaces

from finetuning.language.problems import part_of
from training.data.corpus import Tokenizer
from training.data.dataset import Dataset
from training.data.splits import Splits
from training.errors import UserError

Turn: TypeAlias = tuple[str, str]
"""A question and its answer."""


@dataclass(frozen=True)
class TemplateConfig:
    """The marks of a dialogue. Text that spells them is text of whoever says it: a model may take it for a mark."""

    question: str = "\n<|user|>\n"
    """Stands before each question."""
    answer: str = "\n<|assistant|>\n"
    """Stands before each answer."""

    def asked(self, tokenizer: Tokenizer, question: str, before: Sequence[Turn] = ()) -> list[int]:
        """The tokens that a model goes on from: what was said before, and a new question. Each part has its own."""
        parts = [part for one, other in before for part in (self.question, one, self.answer, other)]
        parts += [self.question, question, self.answer]
        return [token for part in parts for token in tokenizer.encode(part)]

    @property
    def stop(self) -> tuple[str, ...]:
        """The words that end an answer, as the end token does."""
        return (self.question,) if self.question else ()


PLAIN = TemplateConfig("", "")
"""Without marks: for prompts that show by themselves where the answer begins."""


class Row(NamedTuple):
    """A dialogue as tokens."""

    tokens: list[int]
    is_completion: list[bool]
    """True at what is learned."""


def row_of(dialogue: Sequence[Turn], tokenizer: Tokenizer, template: TemplateConfig) -> Row:
    """The tokens of a question are those of a prompt, and what is learned behind it those that a model would draw."""
    tokens, learned = [tokenizer.end], [False]
    mark = len(tokenizer.encode(template.question))
    for number, (question, answer) in enumerate(dialogue):
        asked, answered = template.asked(tokenizer, question), tokenizer.encode(answer)
        tokens += [*asked, *answered]
        learned += [number > 0] * mark + [False] * (len(asked) - mark) + [True] * len(answered)
    return Row([*tokens, tokenizer.end], [*learned, True])


def rows_of(
    dialogues: Sequence[Sequence[Turn]], tokenizer: Tokenizer, template: TemplateConfig, *, context: int, source: str
) -> Dataset:
    """`tokens` [S, L] and `is_completion` [S, L], with end tokens behind the shorter ones.

    Raises UserError for a dialogue that exceeds the context: none is cut, which would leave its answer without its
    question.
    """
    rows = [row_of(dialogue, tokenizer, template) for dialogue in dialogues]
    longest = max((len(row.tokens) for row in rows), default=0)
    if longest > context + 1:
        worst = next(number for number, row in enumerate(rows, start=1) if len(row.tokens) == longest)
        raise UserError(f"{source}: dialogue {worst} has {longest} tokens: the context takes at most {context + 1}")
    tokens = np.full((len(rows), longest), tokenizer.end, np.int32)
    learned = np.zeros((len(rows), longest), np.bool_)
    for number, row in enumerate(rows):
        tokens[number, : len(row.tokens)] = row.tokens
        learned[number, : len(row.tokens)] = row.is_completion
    space = spaces.Box(0, tokenizer.size - 1, (longest,), np.int32)
    return Dataset({"tokens": tokens, "is_completion": learned}, {"tokens": space}, source)


def split_dialogues(
    dialogues: Sequence[Sequence[Turn]], tokenizer: Tokenizer, template: TemplateConfig, *, context: int, source: str
) -> Splits:
    """The rows of a tenth of them for the validation, of a tenth for the test, and of the others.

    The first question decides, so that none is in two splits. Raises UserError where a split would be empty.
    """
    parts: dict[str, list[Sequence[Turn]]] = {name: [] for name in Splits._fields}
    for dialogue in dialogues:
        parts[part_of(dialogue[0][0])].append(dialogue)
    for name, part in parts.items():
        if not part:
            raise UserError(f"{source} has {len(dialogues)} dialogues: none of them is for {name}; it takes more")
    return Splits(*(rows_of(parts[name], tokenizer, template, context=context, source=source) for name in parts))


def read_dialogues(path: Path) -> list[list[Turn]]:
    """The dialogues in a file of JSON lines, in either of two forms that are usual.

    `{"prompt": ..., "completion": ...}`, or `{"messages": [{"role": "user", "content": ...}, ...]}` with users and
    assistants in turn. Raises UserError, with the number of the line, for anything else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as dialogues: {getattr(error, 'strerror', None) or error}") from None
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                found.append(_dialogue(json.loads(line)))
            except (ValueError, KeyError, TypeError):
                takes = '{"prompt": ..., "completion": ...} or {"messages": [...]} with user and assistant in turn'
                raise UserError(f"{path}, line {number}: it takes {takes}") from None
    if not found:
        raise UserError(f"{path} is empty: it has no dialogue")
    return found


def _dialogue(tree: Any) -> list[Turn]:
    """Raises ValueError, KeyError or TypeError for another form."""
    if "messages" not in tree:
        return [(_text(tree["prompt"]), _text(tree["completion"]))]
    messages = tree["messages"]
    asked, answered = messages[::2], messages[1::2]
    if (
        not messages
        or any(one["role"] != "user" for one in asked)
        or any(one["role"] != "assistant" for one in answered)
    ):
        raise ValueError(messages)
    return [(_text(one["content"]), _text(other["content"])) for one, other in zip(asked, answered, strict=True)]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
