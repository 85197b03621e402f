"""What every experiment shares that learns from a dataset: its config, and training from begin to end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

from gymnasium import Space

from agents.acting.evaluation import Evaluation, EvaluationConfig
from agents.policies.policy import NetworkPolicy
from agents.recipes import acting
from agents.recipes.acting import PolicyRunConfig
from envs.episodes.datasets import read_dataset
from envs.episodes.episodes import Episodes
from envs.single import make_env
from training.core import Algorithm, Budget, Every, Stream, Unit, to_device
from training.errors import require
from training.recipe import choose_execution
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run

P = TypeVar("P", bound=NetworkPolicy)


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


def train(
    config: OfflineConfig,
    run: Run,
    make_policy: Callable[[Space[Any], Space[Any]], P],
    make_parts: Callable[[Episodes, P, Any, Budget], tuple[Algorithm, Stream]],
    *,
    select: Callable[[Episodes], Episodes] = lambda episodes: episodes,
) -> None:
    """One run: dataset, policy, agent and stream, then `fit`, then the last measurements.

    Args:
        config: of the experiment; its agent's `minibatch_size` is the samples of one update.
        run: its folder.
        make_policy: for an observation and an action space.
        make_parts: the algorithm and its stream, for the episodes, a policy on its device, the algorithm's config, in
            which it stands whether to compile, and the budget in updates. The actions are in the terms of the policy.
        select: which of the dataset's episodes to learn from.
    """
    until = config.until
    with closing(make_env(config.env)) as env:
        spaces = env.observation_space, env.action_space
    dataset = read_dataset(config.dataset, spaces, expected_of=config.env.id)
    run.require_same_data(f"dataset {config.dataset}", [dataset.sha256])
    behaviour_return = float(dataset.returns.mean())
    episodes = select(dataset)
    policy, minibatch_size = make_policy(*spaces), config.agent.minibatch_size
    gradient_steps = config.epochs * -(-episodes.steps // minibatch_size)
    agent_config = choose_execution(config, run, policy, gradient_steps, minibatch_size)
    if len(policy.normalizers):
        samples = episodes.samples()
        seen = {key: samples[key] for key in policy.normalizers}
        policy.update_normalizers(to_device(seen, policy.device))  # once: the data never change
    learned = replace(episodes, action=policy.learned_action(episodes.action))
    # A schedule that counts updates moves inside of an epoch too.
    agent, stream = make_parts(learned, policy, agent_config, Budget(gradient_steps, "updates"))
    told = f"{len(episodes):,} of {len(dataset):,} episodes, {episodes.steps:,} env steps"
    print(f"learning from {config.dataset}: {told}; its mean return is {behaviour_return:.1f}", file=sys.stderr)
    evaluation = Evaluation(config.env, config.evaluation, seed=config.seed, behaviour_return=behaviour_return)
    with closing(evaluation) as evaluate:
        acting.learn(config, run, agent, stream, evaluate, until)
