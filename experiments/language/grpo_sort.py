"""GRPO takes a transformer that sorts eight digits half of the time to one that nearly always does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from experiments.language import grpo_countdown
from experiments.language.grpo_countdown import BY_REWARD
from experiments.language.sft_countdown import demonstrated
from finetuning.grpo import GRPOConfig
from finetuning.language.completions import CompletionsConfig
from finetuning.language.demonstrations import DemonstrationsConfig
from finetuning.language.problems import TASKS, ProblemsConfig
from finetuning.rejection_sampling import RejectionSamplingConfig, RejectionSamplingRunConfig
from training.claims import Claim

RATE = replace(BY_REWARD, learning_rate=3e-4)
TRIES = CompletionsConfig(prompts=32, completions=16, max_tokens=TASKS["sorting"].max_tokens)


@dataclass(frozen=True, kw_only=True)
class Config(grpo_countdown.Config):
    """The stages of `grpo_countdown` with another task."""

    data: ProblemsConfig = ProblemsConfig("sorting", demonstrations=400)
    sft: DemonstrationsConfig = field(default_factory=lambda: demonstrated(120))
    rejection: RejectionSamplingRunConfig = RejectionSamplingRunConfig(
        steps=160, completions=TRIES, algorithm=RejectionSamplingConfig(optimizer=RATE)
    )
    continued: DemonstrationsConfig = field(default_factory=lambda: demonstrated(250))
    steps: int | None = 160
    completions: CompletionsConfig = TRIES
    algorithm: GRPOConfig = GRPOConfig(optimizer=RATE)


CLAIMS = (Claim("test/greedy_accuracy", ">=", 0.95), Claim("comparison/points_over_continued", ">=", 0.0))

train = grpo_countdown.train
