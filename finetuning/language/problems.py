"""Problems without end whose answers a program verifies: countdown, sorting, addition.

A verifier is a pure function of a problem and a completion; what it is not sure of is wrong. Whether a problem is for
training or held out follows from its text alone, so that no seed and no number of problems can let one leak.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np

from training.data.corpus import Tokenizer
from training.errors import UserError, require
from training.seeding import derived_seed

HELD_OUT_PERCENT = 10
"""Of all problems for the validation, and as many for the test."""
TRIES = 50
"""Draws for each problem that is asked for; where most come twice there are no others."""


class Problem(NamedTuple):
    """What is asked, and one right answer."""

    prompt: str
    answer: str


class Task(Protocol):
    """Problems of one kind."""

    name: str
    alphabet: str
    """The characters of prompts and answers."""
    max_tokens: int
    """Of the longest answer, with its end token."""

    def draw(self, rng: np.random.Generator) -> Problem: ...

    def verify(self, prompt: str, completion: str) -> float:
        """1 for a right answer, 0 for any other text; the reward."""
        ...


class Countdown:
    """Three numbers, each used once, make the target: `3,7,9>30:` is answered by `7*3=21;21+9=30;`.

    Numbers are 1 to 20 in ascending order, the target is 1 to 99; every step gives a whole number above 0. There are
    about 16,000 different problems: written in another order one would be the same, and could leak.
    """

    name = "countdown"
    alphabet = "0123456789+-*/=;,>:"
    max_tokens = len("19*20=380;380/20=19;") + 1

    def draw(self, rng: np.random.Generator) -> Problem:
        while True:
            numbers = sorted(int(number) for number in rng.integers(1, 21, 3))
            answer, target = self.random_steps(numbers, rng)
            if 1 <= target <= 99:
                return Problem(f"{','.join(map(str, numbers))}>{target}:", answer)

    def random_steps(self, numbers: list[int], rng: np.random.Generator) -> tuple[str, int]:
        """Valid steps that use the numbers, and what they come to."""
        left, answer = list(numbers), ""
        while len(left) > 1:
            one, other = sorted((left.pop(int(rng.integers(len(left)))) for _ in range(2)), reverse=True)
            possible = ["+", "*", *(["-"] if one > other else []), *([] if one % other else ["/"])]
            sign = possible[int(rng.integers(len(possible)))]
            left.append(_result(one, sign, other))
            answer += f"{one}{sign}{other}={left[-1]};"
        return answer, left[0]

    def verify(self, prompt: str, completion: str) -> float:
        asked = re.fullmatch(r"([0-9,]+)>([0-9]+):", prompt)
        assert asked, f"{prompt!r} is no problem of countdown"
        left, result = Counter(asked[1].split(",")), None
        steps = re.findall(r"([0-9]+)([-+*/])([0-9]+)=([0-9]+);", completion)
        if "".join(f"{one}{sign}{other}={made};" for one, sign, other, made in steps) != completion:
            return 0.0
        for one, sign, other, made in steps:
            left.subtract((one, other))
            result = made
            is_right = min(left.values()) >= 0 and str(_result(int(one), sign, int(other))) == made != "0"
            if not is_right:
                return 0.0
            left[made] += 1
        return float(result == asked[2] and left.total() == 1)


class Sorting:
    """Eight digits in ascending order: `53182904:` is answered by `01234589`."""

    name = "sorting"
    alphabet = "0123456789:"
    max_tokens = 8 + 1

    def draw(self, rng: np.random.Generator) -> Problem:
        digits = "".join(map(str, rng.integers(0, 10, 8)))
        return Problem(f"{digits}:", "".join(sorted(digits)))

    def verify(self, prompt: str, completion: str) -> float:
        return float(completion == "".join(sorted(prompt.removesuffix(":"))))


class Addition:
    """Two numbers of four digits, the sum written from its last digit on: `1234+5678=` is answered by `2196`."""

    name = "addition"
    alphabet = "0123456789+="
    max_tokens = 5 + 1

    def draw(self, rng: np.random.Generator) -> Problem:
        one, other = (int(number) for number in rng.integers(1000, 10_000, 2))
        return Problem(f"{one}+{other}=", str(one + other)[::-1])

    def verify(self, prompt: str, completion: str) -> float:
        one, other = prompt.removesuffix("=").split("+")
        return float(completion == str(int(one) + int(other))[::-1])


TASKS: dict[Literal["countdown", "sorting", "addition"], Task] = {
    "countdown": Countdown(),
    "sorting": Sorting(),
    "addition": Addition(),
}


@dataclass(frozen=True)
class ProblemsConfig:
    """Which problems there are, and how many."""

    task: Literal["countdown", "sorting", "addition"] = "countdown"
    demonstrations: int = 3_000
    """Problems with an answer, to learn from what is shown."""
    train: int = 3_500
    """Problems to learn from by trying, of which the demonstrations are the first."""
    held_out: int = 400
    """For the validation, and for the test."""

    def __post_init__(self) -> None:
        require(1 <= self.demonstrations <= self.train, "demonstrations", self.demonstrations, f"1 to {self.train}")
        require(self.held_out >= 1, "held_out", self.held_out, "at least 1")

    @property
    def rules(self) -> Task:
        """The task itself."""
        return TASKS[self.task]

    def problems(self, seed: int) -> dict[str, list[Problem]]:
        """By split. Raises UserError where the task has fewer."""
        return split_problems(self.rules, train=self.train, held_out=self.held_out, seed=seed)


def part_of(prompt: str) -> str:
    """The split that a prompt is in, whatever the seed."""
    number = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:4], "little") % 100
    return "test" if number < HELD_OUT_PERCENT else "validation" if number < 2 * HELD_OUT_PERCENT else "train"


def draw_problems(task: Task, part: str, count: int, seed: int) -> list[Problem]:
    """So many different problems of one split. Raises UserError where the task has fewer."""
    rng = np.random.default_rng(derived_seed(seed, "problems", task.name, part))
    found: dict[str, Problem] = {}
    for _ in range(TRIES * 100 // HELD_OUT_PERCENT * count):
        problem = task.draw(rng)
        if part_of(problem.prompt) == part:
            found.setdefault(problem.prompt, problem)
        if len(found) == count:
            return list(found.values())
    raise UserError(f"{task.name} has about {len(found):,} different problems for {part}: {count:,} are asked for")


def split_problems(task: Task, *, train: int, held_out: int, seed: int) -> dict[str, list[Problem]]:
    """So many problems to learn from, and so many for each of validation and test."""
    counts = {"train": train, "validation": held_out, "test": held_out}
    return {part: draw_problems(task, part, count, seed) for part, count in counts.items()}


def tokenizer_of(task: Task) -> Tokenizer:
    """A token for each character of the task."""
    return Tokenizer.of_characters(task.alphabet)


def _result(one: int, sign: str, other: int) -> int:
    """0 where the step gives no whole number above 0."""
    if sign == "/":
        return 0 if other == 0 or one % other else one // other
    return {"+": one + other, "*": one * other, "-": max(0, one - other)}[sign]
