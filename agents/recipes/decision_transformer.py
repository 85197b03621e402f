"""The recipe of the Decision Transformer: its config, and how its run is put together."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from agents.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from agents.policies.decision_transformer import DecisionTransformerPolicy, DecisionTransformerPolicyConfig
from agents.recipes import acting, offline
from agents.recipes.offline import OfflineConfig
from agents.replay.windows import Windows
from training.optimizer.config import with_compile
from training.recipe import fit_run
from training.run.run import Run
from training.seeding import generator


@dataclass(frozen=True, kw_only=True)
class DecisionTransformerRunConfig(OfflineConfig):
    """What to learn from, with what policy."""

    agent: DecisionTransformerConfig = DecisionTransformerConfig()
    policy: DecisionTransformerPolicyConfig = DecisionTransformerPolicyConfig()


def train(config: DecisionTransformerRunConfig, run: Run) -> None:
    """One run of the Decision Transformer."""
    data = offline.read_data(config, config.dataset, run)
    spaces = data.observation_space, data.action_space
    policy = DecisionTransformerPolicy(*spaces, config.policy, generator(config.seed, "weights"))
    episodes, compute, until = offline.prepare(config, run, policy, data.episodes)
    agent = DecisionTransformer(policy, with_compile(config.agent, compute.compile), until=until)
    stream = Windows(episodes, config.policy, config.agent.minibatch_size, config.seed)
    with closing(acting.make_evaluation(config, run, behaviour_return=data.behaviour_return)) as evaluate:
        now, checkpoint = fit_run(config, run, compute, agent, stream, evaluate)
        acting.finish(run, agent, evaluate, now, checkpoint)
