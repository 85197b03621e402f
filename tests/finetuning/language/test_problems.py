"""Problems: what is right, what is wrong however it looks, and that held-out ones are never learned from."""

from __future__ import annotations

import numpy as np
import pytest

from finetuning.language.problems import TASKS, ProblemsConfig, draw_problems, part_of, tokenizer_of
from training.errors import UserError


@pytest.mark.parametrize("name", TASKS)
def test_answers_are_right_and_fit_and_what_is_a_character_off_is_wrong(name: str) -> None:
    task = TASKS[name]  # type: ignore[index]
    tokenizer, rng = tokenizer_of(task), np.random.default_rng(1)
    for _ in range(300):
        problem = task.draw(rng)
        assert task.verify(*problem) == 1.0
        assert len(tokenizer.encode(problem.answer)) < task.max_tokens
        for wrong in ("", problem.answer[:-1], problem.answer + problem.answer[-1], problem.prompt):
            assert task.verify(problem.prompt, wrong) == 0.0


@pytest.mark.parametrize(
    ("answer", "reward"),
    [
        ("7*3=21;21+9=30;", 1.0),
        ("3*7=21;9+21=30;", 1.0),
        ("7*3=21;", 0.0),  # a number is left
        ("7*3=21;21+9=30;30-0=30;", 0.0),  # there is no 0
        ("7*3=21;21+9=31;", 0.0),
        ("7*3=20;20+9=30;", 0.0),
        ("7*3=21;7+9=16;", 0.0),  # 7 was used
        ("27+3=30;", 0.0),
        ("9-7=2;2-3=-1;", 0.0),
        ("9/7=1;1+3=4;", 0.0),
        ("07*3=21;21+9=30;", 0.0),
        ("7*3=21; 21+9=30;", 0.0),
        ("٧*3=21;21+9=30;", 0.0),
        ("7*3=21;21+9=30", 0.0),
    ],
)
def test_countdown_uses_each_number_once_and_counts_right(answer: str, reward: float) -> None:
    assert TASKS["countdown"].verify("3,7,9>30:", answer) == reward


def test_no_step_divides_by_what_is_not_there() -> None:
    assert TASKS["countdown"].verify("1,1,2>2:", "1-1=0;2/0=2;") == 0.0
    assert TASKS["countdown"].verify("6,6,3>4:", "6+6=12;12/3=4;") == 1.0
    assert TASKS["countdown"].verify("6,5,3>4:", "6+6=12;12/3=4;") == 0.0


def test_sorting_and_addition() -> None:
    assert TASKS["sorting"].verify("53182904:", "01234589") == 1.0
    assert TASKS["sorting"].verify("53182904:", "01234598") == 0.0
    assert TASKS["addition"].verify("1234+5678=", "2196") == 1.0
    assert TASKS["addition"].verify("1234+5678=", "6912") == 0.0


def test_no_problem_is_in_two_splits_whatever_the_seeds_and_numbers() -> None:
    parts: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    for seed, train in ((1, 300), (2, 700)):
        config = ProblemsConfig("countdown", demonstrations=100, train=train, held_out=80)
        for part, problems in config.problems(seed).items():
            assert len({problem.prompt for problem in problems}) == len(problems)
            assert {part_of(problem.prompt) for problem in problems} == {part}
            parts[part] |= {problem.prompt for problem in problems}
    assert not parts["train"] & parts["validation"]
    assert not (parts["train"] | parts["validation"]) & parts["test"]
    first = draw_problems(TASKS["countdown"], "train", 50, 1)
    assert first == draw_problems(TASKS["countdown"], "train", 90, 1)[:50]
    assert first != draw_problems(TASKS["countdown"], "train", 50, 2)


def test_more_problems_than_there_are_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Few:
        name, alphabet, max_tokens = "few", "0123456789", 2

        def draw(self, rng: np.random.Generator) -> tuple[str, str]:
            from finetuning.language.problems import Problem

            return Problem(str(rng.integers(30)), "1")

        def verify(self, prompt: str, completion: str) -> float:
            return 1.0

    with pytest.raises(UserError, match=r"few has about \d+ different problems for train: 40 are asked for"):
        draw_problems(Few(), "train", 40, 1)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="demonstrations = 11: it takes 1 to 10"):
        ProblemsConfig(demonstrations=11, train=10)
    with pytest.raises(UserError, match="held_out = 0: it takes at least 1"):
        ProblemsConfig(held_out=0)
