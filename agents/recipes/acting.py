"""What every experiment that trains a policy shares: its config, its environments, training from begin to end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from agents.acting.collector import Collector, Group, LocalCollector, SharedCollector, make_group
from agents.acting.evaluation import Evaluation, EvaluationConfig
from agents.policies.policy import NetworkPolicy, load_policy, policy_of
from envs.config import EnvConfig
from training import learners
from training.core import Algorithm, Budget, Stream, Unit
from training.errors import require
from training.recipe import RunConfig, choose_execution, fit_run
from training.run.checkpoint import DamagedError
from training.run.run import Run

P = TypeVar("P", bound=NetworkPolicy)


class AgentConfig(Protocol):
    """What the stream must know of an algorithm's config."""

    @property
    def gamma(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class PolicyRunConfig(RunConfig):
    """How a policy is trained and measured, wherever its data come from. An experiment sets the algorithm's config."""

    learner: ClassVar[str] = "agent"
    agent: Any
    env: EnvConfig
    evaluation: EvaluationConfig = EvaluationConfig()


@dataclass(frozen=True, kw_only=True)
class ActingConfig(PolicyRunConfig):
    """Where to act and for how long."""

    unknown_unit: ClassVar[Unit] = "epochs"
    env_steps: int = 100_000
    """The budget, over all environments together."""
    num_envs: int = 8
    """All environments together."""
    groups: int | Literal["auto"] = "auto"
    """Inference groups: the environments of one group share a policy call; auto: one, or one for each worker or
    learner."""
    workers: int = 0
    """Ray workers that step the environments, each with as many whole groups; 0: this process does. The data are the
    same as with the same groups in this process."""
    ray_address: str | None = None
    """The Ray cluster whose workers they are; None: RAY_ADDRESS, or one that starts on this machine for this run."""
    worker_timeout_s: float = 120.0
    """A Ray worker that takes longer for its part of a rollout is taken to hang."""
    max_replacements: int = 5
    """How often each Ray worker may be replaced before the run fails."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.env_steps >= 1, "env_steps", self.env_steps, "at least 1")
        require(self.num_envs >= 1, "num_envs", self.num_envs, "at least 1")
        require(self.workers >= 0, "workers", self.workers, "at least 0")
        require(self.groups == "auto" or self.groups >= 1, "groups", self.groups, "at least 1, or 'auto'")
        groups, workers = self.inference_groups, max(1, self.workers)
        takes = f"a multiple of workers = {self.workers}: each holds whole groups"
        require(groups % workers == 0, "groups", self.groups, takes)
        takes = f"a multiple of learners = {self.learners}: each steps whole groups"
        require(groups % self.learners == 0, "groups", self.groups, takes)
        alone = self.learners == 1 or self.workers == 0
        require(alone, "workers", self.workers, f"0 with learners = {self.learners}: those step the environments")
        source = ("workers" if self.workers else "learners") if self.groups == "auto" else "groups"
        takes = f"a multiple of {source} = {groups}"
        require(self.num_envs % groups == 0, "num_envs", self.num_envs, takes)
        require(self.worker_timeout_s > 0, "worker_timeout_s", self.worker_timeout_s, "more than 0 seconds")
        require(self.max_replacements >= 0, "max_replacements", self.max_replacements, "at least 0")

    @property
    def until(self) -> Budget:
        return Budget(self.env_steps, "env_steps")

    @property
    def inference_groups(self) -> int:
        """How many groups there are."""
        return max(self.learners, self.workers) if self.groups == "auto" else self.groups


def make_collector(config: ActingConfig) -> Collector:
    """The environments of the config, split evenly over its inference groups, here or on Ray workers."""
    groups = config.inference_groups
    size = config.num_envs // groups
    if config.workers:
        from agents.acting.ray_collector import RayCollector

        return RayCollector(
            config.env,
            group_size=size,
            groups_per_worker=groups // config.workers,
            workers=config.workers,
            seed=config.seed,
            address=config.ray_address,
            timeout_s=config.worker_timeout_s,
            max_replacements=config.max_replacements,
            max_policy_lag=getattr(config.agent, "max_policy_lag", 0),
        )
    make: Callable[[int], Group] = lambda index: make_group(config.env, size, seed=config.seed, index=index)  # noqa: E731
    return LocalCollector(make, groups) if learners.count() == 1 else SharedCollector(make, groups)


def train(
    config: ActingConfig,
    run: Run,
    make_policy: Callable[[Collector], P],
    make_parts: Callable[[Collector, P, Any, Budget], tuple[Algorithm, Stream]],
    *,
    gradient_steps: int,
    samples_per_step: int,
    measure: Callable[[P], Mapping[str, float]] | None = None,
) -> None:
    """One run: environments, policy, agent and stream, then `fit`, then the last measurements.

    Args:
        config: of the experiment.
        run: its folder.
        make_policy: for the spaces of the environments.
        make_parts: the algorithm and its stream, for a policy on its device and the algorithm's config, in which it
            stands whether to compile.
        gradient_steps: in the whole run, about.
        samples_per_step: in each of them.
        measure: what else the result says of the policy at the end.
    """
    until = config.until
    with ExitStack() as stack:
        collector = stack.enter_context(closing(make_collector(config)))
        policy = make_policy(collector)
        agent_config = choose_execution(config, run, policy, gradient_steps, samples_per_step)
        agent, stream = make_parts(collector, policy, agent_config, until)
        evaluate = stack.enter_context(closing(Evaluation(config.env, config.evaluation, seed=config.seed)))
        learn(config, run, agent, stream, evaluate, until, measure)


def learn(
    config: PolicyRunConfig,
    run: Run,
    agent: Algorithm,
    stream: Stream,
    evaluate: Evaluation,
    until: Budget,
    measure: Callable[[Any], Mapping[str, float]] | None = None,
) -> None:
    """`fit`, then the last measurements: of the policy at the end, and of the best checkpoint's."""
    now, checkpoint = fit_run(config, run, agent, stream, evaluate, until)
    policy = policy_of(agent.state_dict())
    final = evaluate.final(policy)
    if measure is not None:
        final |= measure(policy)
    run.finish(now, metrics=final, best=_measured_best(run, evaluate) if checkpoint.best else {})


def _measured_best(run: Run, evaluate: Evaluation) -> dict[str, float]:
    """The longer measurement of the best checkpoint; nothing when it is damaged, which is no reason to lose the run."""
    try:
        return evaluate.final(load_policy(run.folder, "best"))
    except DamagedError as error:
        print(f"the best checkpoint cannot be measured: {error}", file=sys.stderr)
        return {}
