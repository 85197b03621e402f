"""Demonstrations of problems: only so many are shown, and the result says what the model solves."""

from __future__ import annotations

from pathlib import Path

from experiments.__main__ import main
from finetuning.language.demonstrations import demonstrations, new_solver
from finetuning.language.dialogue import PLAIN
from finetuning.language.problems import ProblemsConfig
from tests.support.counting import result_of
from training.networks.transformer import TransformerConfig

SMALL = TransformerConfig(width=8, layers=1, heads=1, position="rotary")
RESUMED = {  # the loss of answers alone
    "sft_countdown": [
        *("--data.train", "200", "--data.demonstrations", "150", "--data.held-out", "16", "--model.width", "16"),
        *("--model.layers", "1", "--model.heads", "2", "--steps", "150", "--minibatch-size", "16"),
    ],
}


def test_only_so_many_are_shown_and_the_context_holds_the_longest() -> None:
    data = ProblemsConfig("countdown", demonstrations=20, train=60, held_out=10)
    problems = data.problems(1)
    model = new_solver(data, SMALL, 1)
    rows = demonstrations(data, problems, model, PLAIN)
    assert [len(part) for part in rows] == [20, 10, 10]
    shown = problems["train"][3]
    words = [model.tokenizer.end, *model.tokenizer.encode(shown.prompt + shown.answer), model.tokenizer.end]
    assert rows.train.array("tokens")[3][: len(words)].tolist() == words
    assert rows.train.array("is_completion")[3].sum() == len(shown.answer) + 1
    assert model.context >= rows.train.array("tokens").shape[1] - 1


def test_a_run_says_what_its_model_solves(tmp_path: Path) -> None:
    options = ["--steps", "5", "--test-samples", "3", "--data.train", "60", "--data.demonstrations", "40"]
    options += ["--data.held-out", "8", "--model.width", "8", "--minibatch-size", "16", "--tracker", "none"]
    assert main(["train", "sft_countdown", *options, "--run-dir", str(tmp_path / "run")]) == 0
    metrics = result_of(str(tmp_path / "run"))["metrics"]
    for name in ("greedy_accuracy", "sampled_accuracy", "pass_at_3", "loss_nats"):
        assert f"test/{name}" in metrics
