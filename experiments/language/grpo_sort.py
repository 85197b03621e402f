"""GRPO improves a transformer at sorting by its own tries, though less than more of the same demonstrations does."""

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


# Rejection sampling of as many tries is as good, and going on with the demonstrations is better: sorting is learned by
# being shown.
CLAIMS = (Claim("comparison/points_over_sft", ">=", 5.0), Claim("comparison/coverage_kept", ">=", 0.9))

train = grpo_countdown.train
