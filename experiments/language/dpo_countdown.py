"""DPO tells a transformer's right answers to countdown from its wrong ones, and yet its own answers become worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from experiments.language.sft_countdown import PROBLEMS, STEPS, TRANSFORMER, demonstrated
from finetuning import dpo
from finetuning.dpo import DPO, DPOConfig, DPORunConfig
from finetuning.language import demonstrations
from finetuning.language.completions import measure_solved
from finetuning.language.demonstrations import DemonstrationsConfig, new_solver
from finetuning.language.preferences import kl_per_token, preference_pairs
from finetuning.language.problems import ProblemsConfig
from finetuning.language_model import load_adapted
from training.claims import Claim
from training.data.splits import Splits
from training.networks.transformer import TransformerConfig
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(DPORunConfig):
    """`sft_countdown`, then a pair of each problem at which its tries are neither all right nor all wrong."""

    data: ProblemsConfig = PROBLEMS
    model: TransformerConfig = TRANSFORMER
    sft: DemonstrationsConfig = field(default_factory=lambda: demonstrated(STEPS))
    tries: int = 16
    """At each problem, of which a pair is made."""
    epochs: int | None = 4
    minibatch_size: int = 64
    algorithm: DPOConfig = DPOConfig()


# What it is to reach. On development seed 1 it prefers the right one of 69 % of unseen pairs, at 0.72 nats a token, and
# solves 15 points less: the likelihood of the right answers falls too, only less than that of the wrong ones.
CLAIMS = (
    Claim("test/preference_accuracy", ">=", 0.8),
    Claim("comparison/points_over_sft", ">=", 5.0),
    Claim("comparison/kl_nats_per_token", "<=", 0.2),
)


def train(config: Config, run: Run) -> None:
    """Two stages; the pairs of each split are of that split's problems, by the model that the first one made."""
    sft, stage = run.stage("sft"), run.stage("dpo")
    task, problems = config.data.rules, config.data.problems(config.seed)
    asked = {part: [problem.prompt for problem in problems[part]] for part in Splits._fields}
    if not sft.finished:
        model = new_solver(config.data, config.model, config.seed, config.template)
        demonstrations.train(replace(config.sft, seed=config.seed, template=config.template), sft, model, config.data)
    if not stage.finished:
        reference: Any = load_adapted(sft.folder)
        own: dict[str, Any] = {"max_tokens": task.max_tokens, "seed": config.seed}
        named = {"completions": config.tries, "source": f"pairs of tries at {task.name}", **own}
        pairs = Splits(
            *(
                preference_pairs(reference, asked[part], task.verify, config.template, **named)
                for part in Splits._fields
            )
        )

        def measure(learner: DPO) -> Mapping[str, float]:
            found = measure_solved(
                learner.model, asked["test"], task.verify, config.template, samples=config.tries, **own
            )
            measured = {f"test/{name}": value for name, value in found.items()}
            return measured | {
                "comparison/kl_nats_per_token": kl_per_token(
                    learner.model, reference, asked["test"], config.template, **own
                )
            }

        dpo.train(config, stage, load_adapted(sft.folder), pairs, measure=measure)
    accuracy = [100 * one.result["metrics"]["test/greedy_accuracy"] for one in (sft, stage)]
    run.finish_as(
        stage, {"comparison/points_over_sft": accuracy[1] - accuracy[0], "sft/greedy_accuracy": accuracy[0] / 100}
    )
