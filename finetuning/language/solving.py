"""The recipe of learning from one's own completions of problems that a program verifies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from finetuning.language.completions import (
    Completions,
    CompletionsConfig,
    Verify,
    measure_solved,
    prompts_of,
    read_prompts,
)
from finetuning.language.dialogue import PLAIN, TemplateConfig
from finetuning.language.problems import Problem
from pretraining import recipe
from pretraining.model import ModelAndParts
from pretraining.recipe import DataRunConfig, HeldOutConfig
from training.core import Batch, Budget, Every
from training.data.dataset import Dataset
from training.data.splits import Splits
from training.errors import require
from training.optimizer import Optimizer, OptimizerConfig
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run

Measure: TypeAlias = Callable[[Any, list[str], str], Mapping[str, float]]
"""What a model's completions of prompts measure, of a split."""


class SolvingAlgorithm(ModelAndParts):
    """The base of algorithms that learn a language model from its own completions: how it is measured."""

    score = "greedy_accuracy"

    def __init__(self, model: Any, config: OptimizerConfig, *, until: Budget, measure: Measure) -> None:
        self.model, self._measure = model, measure
        self._optimizer = Optimizer(dict(model.named_parameters()), config, until=until)
        self.parts = {"optimizer": self._optimizer}

    def measure(self, batches: Iterable[Batch], part: str) -> Mapping[str, float]:
        """What completions of the prompts measure, with the averaged weights where there are some."""
        prompts = [prompt for batch in batches for prompt in read_prompts(batch)]
        with self._optimizer.averaged():
            return self._measure(self.model, prompts, part)


class MakeSolver(Protocol):
    """The class of an algorithm that learns from completions, or what stands for it."""

    def __call__(self, model: Any, config: Any, /, *, until: Budget, measure: Measure) -> SolvingAlgorithm: ...


@dataclass(frozen=True, kw_only=True)
class SolvingRunConfig(DataRunConfig):
    """How a language model learns from its own completions. `minibatch_size` counts prompts of a gradient step."""

    epochs: int | None = None
    steps: int | None = 400
    minibatch_size: int = 16
    completions: CompletionsConfig = CompletionsConfig()
    template: TemplateConfig = PLAIN
    test_samples: int = 16
    """Completions of each prompt of the test split at the end, beside the likeliest; 0: none."""
    evaluation: HeldOutConfig = HeldOutConfig(every=Every(100, "updates"))
    log_every: Every = Every(10, "updates")
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(100, "updates"))

    def __post_init__(self) -> None:
        super().__post_init__()
        most = self.completions.prompts
        require(
            self.minibatch_size <= most, "minibatch_size", self.minibatch_size, f"at most completions.prompts = {most}"
        )
        require(self.test_samples >= 0, "test_samples", self.test_samples, "at least 0")


def train(
    config: SolvingRunConfig,
    run: Run,
    model: Any,
    problems: Mapping[str, Sequence[Problem]],
    verify: Verify,
    make_algorithm: MakeSolver,
    *,
    source: str,
) -> None:
    """One run, which changes the model; `problems` are by split, of which the answers are not looked at."""
    splits = Splits(*(prompts_of([one.prompt for one in problems[part]], source) for part in Splits._fields))

    def measure(own: Any, prompts: list[str], part: str) -> Mapping[str, float]:
        samples = config.test_samples if part == "test" else 0
        how: dict[str, Any] = {"max_tokens": config.completions.max_tokens, "samples": samples, "seed": config.seed}
        return measure_solved(own, prompts, verify, config.template, **how)

    def make_stream(train: Dataset) -> Completions:
        own: dict[str, Any] = {"groups": config.minibatch_size, "seed": config.seed}
        return Completions(model, train, verify, config.completions, config.template, **own)

    def make(model: Any, own: Any, until: Budget) -> Any:
        return make_algorithm(model, own, until=until, measure=measure)

    recipe.train(config, run, splits, model, make, make_stream=make_stream)
