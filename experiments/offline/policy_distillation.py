"""Policy distillation: a policy of a twelfth of the parameters balances the pole as PPO's does, CartPole-v1."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agents.acting.evaluation import EvaluationConfig
from agents.acting.recording import record, save
from agents.policies.actor_critic import ActorCriticConfig
from agents.policies.saved import load_policy
from agents.ppo import PPO
from agents.recipes import on_policy
from envs.config import EnvConfig
from envs.episodes.dataset_folders import has_dataset
from experiments.control import ppo_cartpole
from finetuning import policy_distillation
from finetuning.policy_distillation import PolicyDistillationConfig, PolicyDistillationRunConfig
from training.claims import Claim
from training.core import Every
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.run.run import Run

DATASET = "cart-pole/teacher-v0"


@dataclass(frozen=True, kw_only=True)
class Config(ppo_cartpole.Config):
    """`ppo_cartpole`, then thirty episodes of its policy, then a student that learns from them what it says."""

    episodes: int = 30
    """Episodes that the teacher plays, its actions drawn."""
    student: PolicyDistillationRunConfig = field(
        default_factory=lambda: PolicyDistillationRunConfig(
            env=EnvConfig("CartPole-v1"),
            dataset=DATASET,
            epochs=20,
            policy=ActorCriticConfig(network=NetworkConfig(hidden=(16, 16))),
            agent=PolicyDistillationConfig(optimizer=OptimizerConfig(learning_rate=3e-3, schedule=Schedule("linear"))),
            evaluation=EvaluationConfig(every=Every(10, "epochs")),
        )
    )


# What Gymnasium calls solved, of the student. That it is small, and how far it is below the teacher, describes it: how
# many parameters it has cannot fail, and on this task the teacher reaches the highest return.
CLAIMS = (Claim("evaluation/return_mean", ">=", 475.0, of="success", seeds=20),)


def train(config: Config, run: Run) -> None:
    """Two stages: PPO, and the student of what it learned."""
    teaching, learning = run.stage("ppo"), run.stage("distil")
    if not teaching.finished:
        on_policy.train(config, teaching, PPO)
    teacher = load_policy(teaching.folder)
    datasets = run.folder / "datasets"
    if not has_dataset(DATASET, datasets):
        shown = record(teacher, config.env, config.episodes, mode="explore", seed=run.seed)
        save(DATASET, *shown, config.env, algorithm="PPO", told={"run": run.folder.name}, root=datasets)
    if not learning.finished:
        student = replace(config.student, seed=config.seed, dataset=str(datasets / DATASET))
        policy_distillation.train(student, learning, teacher)
    sizes = [_parameters(load_policy(stage.folder)) for stage in (learning, teaching)]
    returns = [stage.result["metrics"]["evaluation/return_mean"] for stage in (learning, teaching)]
    compared = {
        "comparison/return_below_teacher": returns[1] - returns[0],
        "comparison/parameters_fraction": sizes[0] / sizes[1],
    }
    run.finish_as(learning, compared)


def _parameters(policy: object) -> int:
    return sum(weight.numel() for weight in policy.parameters())  # type: ignore[attr-defined]
