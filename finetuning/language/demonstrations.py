"""Supervised fine-tuning on problems with their answers, from which learning by reward goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finetuning import language_model
from finetuning.language.completions import measure_solved
from finetuning.language.dialogue import PLAIN, TemplateConfig, rows_of
from finetuning.language.problems import Problem, ProblemsConfig, tokenizer_of
from finetuning.language_model import AdaptConfig
from pretraining.language_model import LanguageModel, LanguageModelConfig
from pretraining.next_token import NextToken
from training.data.splits import Splits
from training.networks.transformer import TransformerConfig
from training.run.run import Run
from training.seeding import generator


@dataclass(frozen=True, kw_only=True)
class DemonstrationsConfig(AdaptConfig):
    """How it is learned; what it is learned from is the experiment's."""

    template: TemplateConfig = PLAIN
    test_samples: int = 16
    """Completions of each prompt of the test split at the end, beside the likeliest; 0: none."""


def new_solver(
    data: ProblemsConfig, transformer: TransformerConfig, seed: int, template: TemplateConfig = PLAIN
) -> LanguageModel:
    """A language model that has learned nothing, with a token for each character of a task."""
    tokenizer, task = tokenizer_of(data.rules), data.rules
    parts = data.problems(seed).values()
    longest = max(len(template.asked(tokenizer, problem.prompt)) for part in parts for problem in part)
    shape = LanguageModelConfig(transformer, context=longest + task.max_tokens, vocabulary=tokenizer.size)
    return LanguageModel(shape, tokenizer, generator(seed, "weights"))


def demonstrations(
    data: ProblemsConfig, problems: Mapping[str, Sequence[Problem]], model: LanguageModel, template: TemplateConfig
) -> Splits:
    """The problems with their answers as rows of tokens, see `rows_of`."""
    source = f"demonstrations of {data.task}"
    shown = {**problems, "train": problems["train"][: data.demonstrations]}
    dialogues = {part: [[(problem.prompt, problem.answer)] for problem in shown[part]] for part in Splits._fields}
    return Splits(
        *(
            rows_of(dialogues[part], model.tokenizer, template, context=model.context, source=source)
            for part in Splits._fields
        )
    )


def train(config: DemonstrationsConfig, run: Run, model: LanguageModel, data: ProblemsConfig) -> None:
    """One run, which changes the model; the result says how many problems of the test it solves."""
    problems = data.problems(config.seed)

    def measure(learner: NextToken) -> Mapping[str, float]:
        prompts = [problem.prompt for problem in problems["test"]]
        task = data.rules
        found = measure_solved(
            learner.model, prompts, task.verify, config.template,
            max_tokens=task.max_tokens, samples=config.test_samples, seed=config.seed,
        )  # fmt: skip
        return {f"test/{name}": value for name, value in found.items()}

    language_model.train(config, run, model, demonstrations(data, problems, model, config.template), measure=measure)
