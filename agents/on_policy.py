"""What every on-policy experiment shares: its config, and putting the parts of the run together."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from agents.collector import Group, LocalCollector
from agents.evaluation import Evaluation, EvaluationConfig
from agents.policy import ActorCritic, PolicyConfig, load_policy, policy_of
from agents.ppo import PPOConfig
from agents.rollouts import Rollouts
from envs.config import EnvConfig
from envs.making import make_vec
from envs.reward_scale import RewardScale
from training.checkpoint import CheckpointConfig, DamagedError
from training.core import Algorithm, Budget, Every, require
from training.execution import choose_compile, choose_device, choose_threads
from training.fit import fit
from training.optimizer_config import all_can_compile, optimizers_of, with_compile
from training.run import Run
from training.seeding import derived_seed, generator


class AgentConfig(Protocol):
    """What the stream must know of an on-policy algorithm's config."""

    @property
    def horizon(self) -> int: ...

    @property
    def gamma(self) -> float: ...


class MakeAgent(Protocol):
    """An on-policy algorithm's class."""

    def __call__(self, policy: ActorCritic, config: Any, /, *, until: Budget, seed: int) -> Algorithm: ...


@dataclass(frozen=True, kw_only=True)
class OnPolicyConfig:
    """What to act in, with what policy, for how long. An experiment sets the algorithm's config."""

    agent: AgentConfig
    seed: int = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | Literal["auto"] = "auto"
    """CPU threads of torch; auto: one for small networks, which more would slow down."""
    compile: bool | Literal["auto"] = "auto"
    """Compile the update (loss, gradient, clipping, optimizer); auto: where the run is long enough to pay for it."""
    env_steps: int = 100_000
    """The budget, over all environments together."""
    num_envs: int = 8
    """All environments together."""
    groups: int = 1
    """Inference groups: the environments of one group share a policy call."""
    env: EnvConfig
    policy: PolicyConfig = PolicyConfig()
    scale_reward: bool = False
    """Divide rewards by the running standard deviation of the discounted return."""
    evaluation: EvaluationConfig = EvaluationConfig()
    log_every: Every = Every(2_000, "env_steps")
    checkpoint: CheckpointConfig = CheckpointConfig()

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed", self.seed, "an integer of at least 0")
        require(self.threads == "auto" or self.threads >= 1, "threads", self.threads, "at least 1, or 'auto'")
        require(self.env_steps >= 1, "env_steps", self.env_steps, "at least 1")
        require(self.num_envs >= 1, "num_envs", self.num_envs, "at least 1")
        takes = f"a divisor of num_envs = {self.num_envs}"
        require(self.groups >= 1 and self.num_envs % self.groups == 0, "groups", self.groups, takes)
        for part, every in (
            ("log_every", self.log_every),
            ("checkpoint.every", self.checkpoint.every),
            ("evaluation.every", self.evaluation.every),
        ):
            # Acting knows no epochs: such a cadence would never be due.
            require(every.unit != "epochs", f"{part}.unit", every.unit, "'env_steps', 'updates' or 'samples'")
        for name, optimizer in optimizers_of(self.agent).items():
            takes = "False; set the run's --compile"
            require(not optimizer.compile, f"agent.{name}.compile", optimizer.compile, takes)
        if isinstance(self.agent, PPOConfig):
            self.agent.check_num_envs(self.num_envs)


def train(config: OnPolicyConfig, run: Run, make_agent: MakeAgent) -> None:
    """One run: environments, policy, agent and stream, then `fit`, then the last measurements."""
    until = Budget(config.env_steps, "env_steps")
    with ExitStack() as stack:
        collector = stack.enter_context(closing(make_collector(config)))
        policy = ActorCritic(
            collector.observation_space, collector.action_space, config.policy, generator(config.seed, "weights")
        ).to(choose_device(run, config.device))
        agent = make_agent(policy, _choose_execution(config, run, policy), until=until, seed=config.seed)
        reward_scale = RewardScale(collector.num_envs, gamma=config.agent.gamma) if config.scale_reward else None
        rollouts = Rollouts(collector, policy, config.agent.horizon, reward_scale)
        evaluate = stack.enter_context(closing(Evaluation(config.env, config.evaluation, seed=config.seed)))
        log = run.open_log(every=config.log_every, until=until)
        checkpoint = run.checkpoint({"agent": agent, "rollouts": rollouts}, config.checkpoint)
        now = fit(agent, rollouts, until=until, log=log, evaluate=evaluate, checkpoint=checkpoint)
        final = evaluate.final(policy_of(agent.state_dict()))
        run.finish(now, metrics=final, best=_measured_best(run, evaluate) if checkpoint.best else {})


def _choose_execution(config: OnPolicyConfig, run: Run, policy: ActorCritic) -> Any:
    """Chooses threads and whether to compile; returns the agent's config with that choice in its optimizers."""
    # An algorithm without minibatches takes one gradient step on each whole rollout.
    samples = getattr(config.agent, "minibatch_size", config.agent.horizon * config.num_envs)
    gradient_steps = config.env_steps * getattr(config.agent, "epochs", 1) // samples
    weights = sum(parameter.numel() for parameter in policy.parameters())
    threads = choose_threads(run, config.threads, multiplications=samples * weights)
    possible = policy.device.type == "cpu" and all_can_compile(config.agent)
    compiles = choose_compile(run, config.compile, possible=possible, gradient_steps=gradient_steps)
    how = "compiled" if compiles else "not compiled"
    print(f"computing on {policy.device}, {threads} thread{'s' * (threads > 1)}, {how}", file=sys.stderr)
    return with_compile(config.agent, compiles)


def _measured_best(run: Run, evaluate: Evaluation) -> dict[str, float]:
    """The longer measurement of the best checkpoint; nothing when it is damaged, which is no reason to lose the run."""
    try:
        return evaluate.final(load_policy(run.folder, "best"))
    except DamagedError as error:
        print(f"the best checkpoint cannot be measured: {error}", file=sys.stderr)
        return {}


def make_collector(config: OnPolicyConfig) -> LocalCollector:
    """The environments of the config, split evenly over its inference groups."""
    size = config.num_envs // config.groups
    seed = derived_seed(config.seed, "environments")

    def make_group(index: int) -> Group:
        return Group(make_vec(config.env, size, seed=seed, first_env=index * size), seed=config.seed, index=index)

    return LocalCollector(make_group, config.groups)
