"""What every recipe of learning from a dataset shares: its config, the data, and how a policy is prepared for them."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from gymnasium import Space

from agents.acting.evaluation import EvaluationConfig
from agents.policies.policy import NetworkPolicy
from agents.recipes.acting import PolicyRunConfig
from envs.episodes.datasets import read_dataset
from envs.episodes.episodes import Episodes
from envs.single import make_env
from training.core import Budget, Every, Unit, to_device
from training.errors import require
from training.recipe import choose_compute
from training.run.checkpoint import CheckpointConfig
from training.run.compute import Compute
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class OfflineConfig(PolicyRunConfig):
    """From which data to learn, and for how long; `env` is where the policy is measured."""

    unknown_unit: ClassVar[Unit] = "env_steps"
    dataset: str
    """The name of a Minari dataset on this machine, or its folder."""
    epochs: int = 50
    """The budget in passes over the data; a stream that draws with replacement draws as many samples. Schedules count
    it in updates."""
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(5, "epochs"))
    log_every: Every = Every(200, "updates")
    checkpoint: CheckpointConfig = CheckpointConfig(every=Every(2_000, "updates"))

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.epochs >= 1, "epochs", self.epochs, "at least 1")

    @property
    def until(self) -> Budget:
        return Budget(self.epochs, "epochs")


class Data(NamedTuple):
    """What a policy learns from, and for which spaces it is made."""

    observation_space: Space[Any]
    """Of the environment."""
    action_space: Space[Any]
    """Of the environment."""
    episodes: Episodes
    behaviour_return: float
    """The mean return of the whole dataset, with which the policy's is compared."""


def read_data(config: PolicyRunConfig, dataset_name: str, run: Run, *, top_fraction: float = 1.0) -> Data:
    """A dataset of the config's environment; on request only the part of its episodes with the highest returns.

    Raises UserError for a dataset that does not fit the environment, or is other data than the run began with.
    """
    with closing(make_env(config.env)) as env:
        spaces = env.observation_space, env.action_space
    dataset = read_dataset(dataset_name, spaces, expected_of=config.env.id)
    run.require_same_data(f"dataset {dataset_name}", [dataset.sha256])
    episodes = dataset if top_fraction == 1 else dataset.top(top_fraction)
    behaviour_return = float(dataset.returns.mean())
    told = f"{len(episodes):,} of {len(dataset):,} episodes, {episodes.steps:,} env steps"
    print(f"learning from {dataset_name}: {told}; its mean return is {behaviour_return:.1f}", file=sys.stderr)
    return Data(*spaces, episodes, behaviour_return)


def prepare(
    config: OfflineConfig, run: Run, policy: NetworkPolicy, episodes: Episodes
) -> tuple[Episodes, Compute, Budget]:
    """Brings a new policy and its data together: the device, the normalization of observations, the range of actions.

    Args:
        config: of the experiment; its agent's `minibatch_size` is the samples of one update.
        run: its folder.
        policy: is on its device afterwards, and knows the mean and variance of what is observed.
        episodes: what to learn from.

    Returns:
        The episodes with the actions as the policy learns them, how to compute, and the budget in updates, by which a
        schedule moves inside of an epoch too.
    """
    size = config.agent.minibatch_size
    gradient_steps = config.epochs * -(-episodes.steps // size)
    compute = choose_compute(config, run, policy, gradient_steps=gradient_steps, samples_per_step=size)
    if len(policy.normalizers):
        samples = episodes.samples()
        policy.update_normalizers(to_device({key: samples[key] for key in policy.normalizers}, policy.device))
    learned = replace(episodes, action=policy.learned_action(episodes.action))
    return learned, compute, Budget(gradient_steps, "updates")
