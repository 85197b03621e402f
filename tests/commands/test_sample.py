"""`sample`: a run's language model writes, the same for the same seed, and a mistake is one line."""

from __future__ import annotations

import pytest

from experiments.__main__ import main
from tests.support.language_models import SMALL_GPT

pytestmark = pytest.mark.usefixtures("workplace")


def test_the_model_of_a_run_writes_the_same_for_the_same_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "gpt_stdlib", *SMALL_GPT, "--steps", "3", "--tracker", "none", "--run-dir", "gpt"]) == 0
    capsys.readouterr()

    def written(*options: str) -> str:
        assert main(["sample", "gpt", "--prompt", "def ", "--max-tokens", "12", *options]) == 0
        return capsys.readouterr().out

    first = written()
    assert first.startswith("def ")
    assert len(first) > 8
    assert written() == first
    assert written("--seed", "2") != first
    two = written("--count", "2")
    assert two.startswith(first)
    assert two.count("def ") >= 2
    word = first[6:8]
    assert written("--stop", word) == first[: first.index(word, 4)] + "\n"
    assert written("--temperature", "0", "--top-k", "3") == written("--temperature", "0", "--seed", "9")
    for wrong, told in (
        (["--temperature", "-1"], "temperature = -1.0: it takes a finite number of at least 0"),
        (["--count", "0"], "count = 0: it takes at least 1"),
        (["--seed", "-1"], "seed = -1: it takes an integer of at least 0"),
        (["--top-q", "1"], "unknown option --top-q"),
        (["--checkpoint", "better"], "checkpoint"),
    ):
        assert main(["sample", "gpt", *wrong]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1


def test_a_run_that_has_no_language_model_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "ppo_cartpole", "--env-steps", "256", "--tracker", "none", "--run-dir", "here"]) == 0
    capsys.readouterr()
    assert main(["sample", "here"]) == 2
    assert capsys.readouterr().err == "error: here is no run of a language model: it has none that could write\n"
