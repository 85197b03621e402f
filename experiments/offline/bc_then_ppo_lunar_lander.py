"""Behaviour cloning, then PPO: a lander begins with another run's landings; their clone was as good without PPO."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agents.acting.evaluation import EvaluationConfig
from agents.acting.recording import record, save
from agents.bc import BCConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.saved import load_policy
from agents.ppo import PPO, PPOConfig
from agents.recipes import cloning, on_policy
from agents.recipes.cloning import BCRunConfig
from envs.config import EnvConfig
from envs.episodes.dataset_folders import has_dataset
from experiments.control import ppo_lunar_lander
from training.claims import Claim
from training.core import Every
from training.optimizer import OptimizerConfig
from training.run.logger import read_rows
from training.run.run import Run

DATASET = "lunar-lander/landings-v0"
LANDED = 200.0


@dataclass(frozen=True, kw_only=True)
class Config(ppo_lunar_lander.Config):
    """`ppo_lunar_lander`, fifty episodes of its best policy cloned, and PPO from there with half of the env steps.

    The env steps of the first stage, which the demonstrations come from, are those of the comparison; what is compared
    is what a learner needs that is given demonstrations.
    """

    policy: ActorCriticConfig = ActorCriticConfig()
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(16_384))
    demonstrations: int = 50
    """Episodes that are cloned."""
    clone: BCRunConfig = field(
        default_factory=lambda: BCRunConfig(
            env=EnvConfig("LunarLander-v3"),
            dataset=DATASET,
            epochs=30,
            agent=BCConfig(optimizer=OptimizerConfig(learning_rate=1e-3)),
        )
    )


# Clone and policy are measured on the same hundred episodes: PPO must improve what was cloned. How many env steps each
# needs to the first evaluation of twenty episodes whose mean return is 200 or more describes it.
CLAIMS = (Claim("comparison/return_over_clone", ">=", 0.0, seeds=10),)


def train(config: Config, run: Run) -> None:
    """Three stages: PPO from nothing, cloning of what it learned, and PPO from the clone, with half the budget."""
    alone, copying, tuning = run.stage("ppo"), run.stage("clone"), run.stage("fine-tune")
    if not alone.finished:
        on_policy.train(config, alone, PPO)
    datasets = run.folder / "datasets"
    if not has_dataset(DATASET, datasets):
        shown = record(
            load_policy(alone.folder, "best"), config.env, config.demonstrations, mode="greedy", seed=run.seed
        )
        save(DATASET, *shown, config.env, algorithm="PPO", told={"run": run.folder.name}, root=datasets)
    if not copying.finished:
        dataset = str(datasets / DATASET)
        clone = replace(config.clone, seed=config.seed, env=config.env, policy=config.policy, dataset=dataset)
        cloning.train(clone, copying)

    def begin(policy: ActorCritic, own: PPOConfig, /, **how: Any) -> PPO:
        policy.load_state_dict(load_policy(copying.folder).state_dict())
        return PPO(policy, own, **how)

    if not tuning.finished:
        on_policy.train(replace(config, env_steps=config.env_steps // 2), tuning, begin)
    needed = [_env_steps_to_land(stage.folder, config.env_steps) for stage in (alone, tuning)]
    returns = [stage.result["metrics"]["evaluation/return_mean"] for stage in (copying, tuning)]
    compared = {
        "comparison/return_over_clone": returns[1] - returns[0],
        "comparison/ppo_env_steps": needed[0],
        "comparison/fine_tune_env_steps": needed[1],
        "comparison/env_steps_fraction": needed[1] / needed[0],
    }
    run.finish_as(tuning, compared)


def _env_steps_to_land(stage: Path, budget: int) -> float:
    """A stage that never gets there counts with the whole budget."""
    rows = read_rows(stage / "metrics.jsonl")
    landed = (row["env_steps"] for row in rows if row.get("evaluation/return_mean", -LANDED) >= LANDED)
    return float(next(landed, budget))
