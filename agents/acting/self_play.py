"""Self-play as a stream: rollouts of games, and a league that the policy joins now and then."""

from __future__ import annotations

from typing import Any

from agents.acting.collector import Collector
from agents.acting.league import League
from agents.acting.rollouts import Rollouts
from agents.policies.policy import NetworkPolicy
from training.core import Batch, Counters
from training.metrics import Last, Metrics
from training.state import State


class SelfPlay:
    """`Rollouts` of games in which members of the league are among the opponents."""

    def __init__(
        self, league: League, collector: Collector, policy: NetworkPolicy, horizon: int, *args: Any, **kw: Any
    ):
        self._league, self._policy = league, policy
        self._rollouts = Rollouts(collector, policy, horizon, *args, **kw)

    @property
    def inexact(self) -> list[str]:
        return self._rollouts.inexact

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        if now.updates and now.updates % self._league.config.every_updates == 0:
            self._league.admit(self._policy, now.updates)
        batch, after, metrics = self._rollouts.next(now)
        return batch, after, metrics | {"league/members": Last(len(self._league.members))}

    def learned(self, feedback: Batch) -> None:
        self._rollouts.learned(feedback)

    def state_dict(self) -> State:
        return {"league": self._league.state_dict(), "rollouts": self._rollouts.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._league.load_state_dict(state["league"])
        self._rollouts.load_state_dict(state["rollouts"])
