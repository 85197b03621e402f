"""IQL on a mixed dataset, then SAC in the environment: a pendulum that begins with what the data taught it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from agents.iql import IQL
from agents.policies.actor import Actor, ActorConfig
from agents.recipes import off_policy, offline_actor_critic
from agents.replay.replay import ReplayConfig
from agents.sac import SAC, SACConfig
from experiments.baselines import sac_pendulum_short
from experiments.offline import iql_pendulum, record_pendulum
from training.claims import Claim
from training.run.checkpoint import read_state
from training.run.folder import find_checkpoint
from training.run.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(sac_pendulum_short.Config):
    """`sac_pendulum_short`, but it begins with what IQL has learned, which also acts until the first update.

    IQL is that of `iql_pendulum` for half as long. Its networks, discount and environment are SAC's, whatever `offline`
    says.
    """

    offline: offline_actor_critic.OfflineActorCriticConfig = iql_pendulum.Config(
        epochs=10,
        policy=ActorConfig(),
        agent=replace(iql_pendulum.Config.agent, critic_network=sac_pendulum_short.Config.agent.critic_network),
    )
    replay: ReplayConfig = replace(sac_pendulum_short.Config.replay, warmup_mode="explore")


# Both stages are measured on the same episodes: the second must improve what the first has learned.
CLAIMS = (
    Claim("comparison/return_over_offline", ">=", 0.0, seeds=10),
    Claim("evaluation/return_mean", ">=", baseline="sac_pendulum_short", seeds=10),
)


def train(config: Config, run: Run) -> None:
    """Two stages: the second begins with the actor and the critics of the first."""
    learned, acting = run.stage("offline"), run.stage("online")
    if not learned.finished:
        record_pendulum.provide(config.offline.dataset)
        own = config.agent
        agent = replace(config.offline.agent, gamma=own.gamma, critics=own.critics, critic_network=own.critic_network)
        offline = replace(config.offline, seed=config.seed, env=config.env, policy=config.policy, agent=agent)
        offline_actor_critic.train(offline, learned, IQL)

    def begin(policy: Actor, own: SACConfig, /, **how: Any) -> SAC:
        state = read_state(find_checkpoint(learned.folder, "last"), "agent")
        policy.load_state_dict(state["policy"]["weights"])
        agent = SAC(policy, own, **how)
        agent.critics.load_state_dict(state["critics"])
        agent.target.load_state_dict(state["target"])
        return agent

    if not acting.finished:
        off_policy.train(config, acting, begin)
    returns = [stage.result["metrics"]["evaluation/return_mean"] for stage in (learned, acting)]
    run.finish_as(acting, {"comparison/return_over_offline": returns[1] - returns[0]})
