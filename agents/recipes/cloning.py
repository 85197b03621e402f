"""The recipe of behaviour cloning: its config, and how its run is put together."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from agents.bc import BC, BCConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.recipes import acting, offline
from agents.recipes.offline import OfflineConfig
from envs.episodes.episodes import Episodes
from training.core import Batch
from training.data.streams import Shuffled
from training.optimizer.config import with_compile
from training.recipe import fit_run
from training.run.run import Run
from training.seeding import generator


@dataclass(frozen=True, kw_only=True)
class BCRunConfig(OfflineConfig):
    """What to clone, with what policy."""

    agent: BCConfig = BCConfig()
    policy: ActorCriticConfig = ActorCriticConfig()


def train(config: BCRunConfig, run: Run) -> None:
    """One run of behaviour cloning."""
    data = offline.read_data(config, config.dataset, run, top_fraction=config.agent.top_fraction)
    policy = ActorCritic(data.observation_space, data.action_space, config.policy, generator(config.seed, "weights"))
    episodes, compute, until = offline.prepare(config, run, policy, data.episodes)
    agent = BC(policy, with_compile(config.agent, compute.compile), until=until)
    stream = Shuffled(samples(episodes), config.agent.minibatch_size, seed=config.seed)
    with closing(acting.make_evaluation(config, run, behaviour_return=data.behaviour_return)) as evaluate:
        now, checkpoint = fit_run(config, run, compute, agent, stream, evaluate)
        acting.finish(run, agent, evaluate, now, checkpoint)


def samples(episodes: Episodes) -> Batch:
    """Every step [S, ...]: what was seen, and what was done."""
    return {key: value for key, value in episodes.samples().items() if key.split("/")[0] in ("obs", "action")}
