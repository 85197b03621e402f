"""The recipe of every on-policy algorithm: its config, and how its run is put together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from gymnasium import Space

from agents.acting.collector import Collector
from agents.acting.rollouts import Rollouts
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.policies.recurrent_actor_critic import RecurrentActorCritic, RecurrentActorCriticConfig
from agents.recipes import acting
from agents.recipes.acting import ActingConfig
from agents.updates.ppo_kernel import SOURCE as KERNEL
from agents.updates.reward_scale import RewardScale
from envs.making import num_agents_of
from training import native
from training.core import Algorithm, Budget, Stream
from training.errors import UserError, require
from training.optimizer.config import with_compile
from training.recipe import choose_compute, fit_run
from training.run.run import Run
from training.seeding import generator


class AgentConfig(acting.AgentConfig, Protocol):
    """What the stream must know of an on-policy algorithm's config."""

    @property
    def horizon(self) -> int: ...


class MakeAgent(Protocol):
    """An on-policy algorithm's class."""

    def __call__(self, policy: Any, config: Any, /, *, until: Budget, seed: int) -> Algorithm: ...


@dataclass(frozen=True, kw_only=True)
class OnPolicyConfig(ActingConfig):
    """What to act in, with what policy, for how long. An experiment sets the algorithm's config."""

    plays_turns: ClassVar[bool] = False
    """Whether it measures games of two players, of which one's gain is the other's loss."""
    agent: AgentConfig
    policy: ActorCriticConfig | QNetworkConfig = ActorCriticConfig()
    scale_reward: bool = False
    """Divide rewards by the running standard deviation of the discounted return."""
    initial_weights: str | None = None
    """A file with weights of another library that the policy begins with: a .zip of Stable-Baselines3, CleanRL's
    .cleanrl_model, or named tensors in a .safetensors or .pt file (agents/policies/foreign_weights.py)."""
    clip_reward: bool = False
    """Learn from the sign of each reward alone, as Mnih et al. 2015; returns are logged and measured as they are."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_player = "an environment, not a game of two players in turn: ppo_tic_tac_toe shows how those are learned"
        require(self.plays_turns or not self.env.of_turns, "env.id", self.env.id, one_player)
        takes = getattr(self.agent, "policy_config", ActorCriticConfig)
        why = f"{takes.__name__}: {type(self.agent).__name__} learns with that"
        require(type(self.policy) is takes, "policy", type(self.policy).__name__, why)
        lag = getattr(self.agent, "max_policy_lag", 0) if self.workers else 0
        takes = "False where workers act behind learning (agent.max_policy_lag): it follows each environment's return"
        require(not (self.scale_reward and lag), "scale_reward", self.scale_reward, takes)
        agents = num_agents_of(self.env)
        samples = self.agent.horizon * self.num_envs * agents
        minibatch = getattr(self.agent, "minibatch_size", samples)
        rows = f"{self.num_envs} environments" if agents == 1 else f"{self.num_envs} matches of {agents} agents"
        takes = f"a divisor of the rollout: {self.agent.horizon} steps of {rows} are {samples}"
        require(samples % minibatch == 0, "agent.minibatch_size", minibatch, f"{takes} samples")


def train(
    config: OnPolicyConfig,
    run: Run,
    make_agent: MakeAgent,
    *,
    make_collector: Callable[[Any], Collector] = acting.make_collector,
    make_evaluation: Callable[[Any, Run], Any] = acting.make_evaluation,
    make_stream: Callable[..., Stream] = Rollouts,
) -> None:
    """One run of an on-policy algorithm: environments, policy, agent, stream and evaluation, then the loop."""
    # An algorithm without minibatches takes one gradient step on each whole rollout.
    agents = num_agents_of(config.env)
    samples = getattr(config.agent, "minibatch_size", config.agent.horizon * config.num_envs * agents)
    gradient_steps = config.env_steps * agents * getattr(config.agent, "epochs", 1) // samples
    with (
        closing(make_collector(config)) as collector,
        closing(make_evaluation(config, run)) as evaluate,
    ):
        policy = make_policy(config.policy, collector.observation_space, collector.action_space, config.seed)
        acting.begin_with_weights(policy, config.initial_weights, run)
        has_kernel = config.compile is not False and getattr(make_agent, "has_kernel", _none)(policy, config.agent)
        compute = choose_compute(
            config,
            run,
            policy,
            gradient_steps=gradient_steps,
            samples_per_step=samples,
            compiles_at_once=has_kernel,
        )
        policy.has_kernels = compute.compile and _kernels(run, has_kernel)
        agent = make_agent(policy, with_compile(config.agent, compute.compile), until=config.until, seed=config.seed)
        reward_scale = RewardScale(collector.num_envs, gamma=config.agent.gamma) if config.scale_reward else None
        stream = make_stream(collector, policy, config.agent.horizon, reward_scale, clip_reward=config.clip_reward)
        now, checkpoint = fit_run(config, run, compute, agent, stream, evaluate)
        acting.finish(run, agent, evaluate, now, checkpoint)


def _kernels(run: Run, are_there: bool) -> bool:
    """Whether the run has them: chosen once, as they give other last bits. Raises UserError where they cannot be
    compiled any more; a child of a run may have a config that they do not take."""
    chosen = run.choose("kernels", lambda: are_there)
    if chosen and not are_there and not native.can_load(KERNEL):
        raise UserError(f"{run.folder} was computed by kernels in C++, which cannot be compiled here")
    return chosen and are_there


def _none(*_: Any) -> bool:
    """An algorithm without gradient steps in C++."""
    return False


def make_policy(
    config: ActorCriticConfig | QNetworkConfig, observation_space: Space[Any], action_space: Space[Any], seed: int
) -> ActorCritic | RecurrentActorCritic | QNetwork:
    """The policy that a config describes, its weights drawn by the run's seed."""
    rng = generator(seed, "weights")
    if isinstance(config, QNetworkConfig):
        return QNetwork(observation_space, action_space, config, rng)
    if isinstance(config, RecurrentActorCriticConfig):
        return RecurrentActorCritic(observation_space, action_space, config, rng)
    return ActorCritic(observation_space, action_space, config, rng)
