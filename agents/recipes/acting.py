"""What every recipe of a policy shares: its config, its environments, and how its run is finished.

A recipe makes its parts in order and then trains, all of it in one function: see `on_policy.train`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from agents.acting.collector import Collector, Group, LocalCollector, SharedCollector, make_group
from agents.acting.evaluation import Evaluation, EvaluationConfig
from agents.policies.foreign_weights import load_weights, read_weights
from agents.policies.policy import NetworkPolicy
from agents.policies.saved import load_policy, policy_of
from envs.config import EnvConfig
from envs.hidden_randomness import hidden_randomness
from envs.specs import known_here_alone
from envs.wrapper_memory import wrapper_memory
from training import learners
from training.core import Algorithm, Budget, Counters, Unit
from training.errors import UserError, require
from training.recipe import RunConfig
from training.run.checkpoint import Checkpoint, DamagedError
from training.run.run import Run


class AgentConfig(Protocol):
    """What the stream must know of an algorithm's config."""

    @property
    def gamma(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class PolicyRunConfig(RunConfig):
    """How a policy is trained and measured, wherever its data come from. An experiment sets the algorithm's config."""

    algorithm_field: ClassVar[str] = "agent"
    agent: Any
    env: EnvConfig
    evaluation: EvaluationConfig = EvaluationConfig()
    stop_at_return: float | None = None
    """Ends the training once an evaluation during it measures so much as its mean return; None: the whole budget is
    spent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        enough = self.stop_at_return
        require(enough is None or math.isfinite(enough), "stop_at_return", enough, "a finite number, or None")

    def why_stop(self, checkpoint: Checkpoint) -> str | None:
        best, enough = checkpoint.best_score, self.stop_at_return
        if best is not None and enough is not None and best.value >= enough:
            return f"stop_at_return = {enough:g}: an evaluation measured {best.value:g}"
        return super().why_stop(checkpoint)


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
        alone = not known_here_alone(self.env.id) or (self.workers == 0 and self.learners == 1)
        require(
            alone, "env.id", self.env.id, "an environment at the top of a module, which workers and learners import"
        )
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


def note_what_no_resume_restores(env: EnvConfig, run: Run) -> None:
    """A run whose environment draws from elsewhere than its seed, or has a wrapper that remembers earlier episodes, is
    not exact, and says so before it begins.

    It is asked here, in the process that leads the run, once: that has to make this environment anyway, to measure the
    policy in it.
    """
    why = hidden_randomness(env, seed=run.seed) or wrapper_memory(env, seed=run.seed)
    if why is not None:
        run.not_exact(why)
        print(f"warning: this run is not exact: {why}", file=sys.stderr)


def begin_with_weights(policy: NetworkPolicy, path: str | None, run: Run) -> None:
    """Gives the policy of a new run the weights in a file, whose hash the run records. A run that goes on has its own.

    Raises:
        UserError: no file of weights, or of another architecture; a child of a run is to begin with others.
    """
    if path is None:
        return
    if run.last_checkpoint is not None:

        def refuse() -> str:
            raise UserError(f"initial_weights = {path!r}: it takes None where a run goes on with what it has learned")

        run.choose("initial_weights", refuse)
        return
    found = read_weights(Path(path))
    if run.choose("initial_weights", lambda: found.sha256) != found.sha256:
        raise UserError(f"{path} is another file than {run.folder} began with: bring that one back")
    load_weights(policy, found.tensors, source=path, activation=found.activation)


def make_evaluation(config: PolicyRunConfig, run: Run, *, behaviour_return: float | None = None) -> Evaluation:
    """Measures what the run trains in its environment, and shows on the run's line how far it is.

    `behaviour_return` is the mean return of the data that a policy learns from, where it does not act.
    """
    note_what_no_resume_restores(config.env, run)
    return Evaluation(
        config.env,
        config.evaluation,
        seed=config.seed,
        trained_env_steps=config.env_steps if isinstance(config, ActingConfig) else None,
        trained_envs=config.num_envs if isinstance(config, ActingConfig) else 0,
        behaviour_return=behaviour_return,
        show=run.show,
    )


def finish(
    run: Run,
    agent: Algorithm,
    evaluate: Evaluation,
    now: Counters,
    checkpoint: Checkpoint,
    more: Mapping[str, float] | None = None,
) -> None:
    """Measures the policy at the end and that of the best checkpoint, and writes the result of the run.

    Args:
        run: which `fit_run` has trained.
        agent: with the policy at the end.
        evaluate: measures both, over more episodes than during training.
        now: the final counters.
        checkpoint: knows which was the best.
        more: what else the result says of the policy at the end.
    """
    with run.measuring():
        final = evaluate.final(policy_of(agent.state_dict())) | dict(more or {})
    run.finish(now, metrics=final, best=_measured_best(run, evaluate) if checkpoint.best else {})


def _measured_best(run: Run, evaluate: Evaluation) -> dict[str, float]:
    """The longer measurement of the best checkpoint; nothing when it is damaged, which is no reason to lose the run."""
    try:
        with run.measuring():
            return evaluate.final(load_policy(run.folder, "best"))
    except DamagedError as error:
        print(f"the best checkpoint cannot be measured: {error}", file=sys.stderr)
        return {}
