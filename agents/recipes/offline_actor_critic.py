"""The recipe of actor-critic algorithms that learn from a dataset: its config, its stream of transitions, its run."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from agents.policies.actor import Actor, ActorConfig
from agents.recipes import acting, offline
from agents.recipes.offline import OfflineConfig
from agents.replay.dataset import buffer_of
from envs.episodes.episodes import Episodes
from training.core import Algorithm, Batch, Budget, Counters
from training.errors import require
from training.metrics import Metrics
from training.optimizer.config import with_compile
from training.recipe import fit_run
from training.run.run import Run
from training.seeding import generator
from training.state import State


class DatasetReplay:
    """Minibatches of transitions [B, ...] as `Replay` yields them, each as likely as every other, with `next_action`.

    As many samples as the dataset has steps are an epoch. Raises UserError when there are fewer than a minibatch takes.
    """

    def __init__(self, episodes: Episodes, minibatch_size: int, *, gamma: float, seed: int) -> None:
        takes = f"1 to {episodes.steps}, the steps of the dataset"
        require(1 <= minibatch_size <= episodes.steps, "agent.minibatch_size", minibatch_size, takes)
        self._buffer = buffer_of(episodes)
        self._steps, self._minibatch_size, self._gamma = episodes.steps, minibatch_size, gamma
        self._rng = generator(seed, "replay")

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        rows = self._buffer.draw(self._minibatch_size, self._rng)
        after = now.advance(samples=len(rows))
        epochs = after.samples // self._steps - now.samples // self._steps
        return self._buffer.transitions_at(rows, gamma=self._gamma, next_action=True), after.advance(epochs=epochs), {}

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: no transition is preferred."""

    def state_dict(self) -> State:
        return {"rng": self._rng.get_state()}

    def load_state_dict(self, state: State) -> None:
        self._rng.set_state(state["rng"])


class MakeAgent(Protocol):
    """The class of an algorithm that learns from transitions of a dataset."""

    def __call__(self, policy: Actor, config: Any, /, *, until: Budget, seed: int) -> Algorithm: ...


@dataclass(frozen=True, kw_only=True)
class OfflineActorCriticConfig(OfflineConfig):
    """From which data to learn, with what policy."""

    policy: ActorConfig = ActorConfig()


def train(config: OfflineActorCriticConfig, run: Run, make_agent: MakeAgent) -> None:
    """One run of an offline actor-critic algorithm: data, policy, agent, replay and evaluation, then the loop."""
    data = offline.read_data(config, config.dataset, run)
    policy = Actor(data.observation_space, data.action_space, config.policy, generator(config.seed, "weights"))
    episodes, compute, _ = offline.prepare(config, run, policy, data.episodes)
    size = config.agent.minibatch_size
    # Minibatches go on from one epoch into the next.
    until = Budget(-(-config.epochs * episodes.steps // size), "updates")
    agent = make_agent(policy, with_compile(config.agent, compute.compile), until=until, seed=config.seed)
    stream = DatasetReplay(episodes, size, gamma=config.agent.gamma, seed=config.seed)
    with closing(acting.make_evaluation(config, run, behaviour_return=data.behaviour_return)) as evaluate:
        now, checkpoint = fit_run(config, run, compute, agent, stream, evaluate)
        acting.finish(run, agent, evaluate, now, checkpoint)
