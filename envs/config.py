"""Which environment, and how it is stepped."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal

from gymnasium.envs.registration import EnvSpec

from envs.specs import MakeEnv, find_spec, id_of, known_here_alone, of_agents
from envs.tasks.board_games import BOARDS
from envs.wrappers import read_word
from training.errors import UserError, require
from training.names import nearest_hint

BackendName = Literal["auto", "batched", "in-process", "subprocess", "vector-entry-point", "envpool"]

NEEDS_FRESH_INSTANCE = ("BipedalWalker-v3", "BipedalWalkerHardcore-v3")
"""How the ids of environments begin whose episodes depend on what their instance lived through before, whatever the
seed: Box2D keeps the order of earlier contacts."""


@dataclass(frozen=True)
class EnvConfig:
    """One environment and how it is made.

    Raises UserError where a value is impossible or the id is unknown to Gymnasium; EnvPool's ids are checked where the
    environment is made.
    """

    id: str
    """Any id registered with Gymnasium; `package.module:Env-v0` imports the module first. `package.module:Env` is a
    class of gymnasium.Env, or a function that returns one, in the module; `package.module:parallel_env` a match of
    several agents, as PettingZoo's modules make one. With the backend envpool: any id of EnvPool's."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """Given to the environment's constructor."""
    backend: BackendName = "auto"
    """How copies are stepped; auto: batched where there is one, otherwise in-process. All give the same data but for
    two, whose episodes start anew when a run is resumed: vector-entry-point, the environment's own vector class, and
    envpool, EnvPool's environment of this id."""
    time_limit: int | None = None
    """Env steps, as the agent takes them, after which an episode is truncated; None: the environment's own limit."""
    wrappers: tuple[str, ...] = ()
    """Around the environment, the first one innermost: the names of Gymnasium's wrappers, `package.module:Wrapper`, or
    `atari` or `minigrid` for the published preprocessing; arguments by keyword: `ResizeObservation(shape=(84, 84))`."""
    drop: tuple[str, ...] = ()
    """Parts of an observation that the agent does not see, such as the `mission` of MiniGrid: text has no network."""
    observation_indices: tuple[int, ...] | None = None
    """Which entries of an observation vector the agent sees, such as positions without velocities; None: all."""
    frame_stack: int = 1
    """How many of the newest observations the agent sees, stacked along a new first axis; 1: no such axis."""
    global_state: bool = False
    """Of a match of several agents: each also sees, as the part `global`, what all of them see and which of them it is;
    for a critic (policy.critic_only)."""
    fresh_instance: bool | None = None
    """A new instance of the environment for every episode; None: where that is known to be needed."""
    step_timeout_s: float = 60.0
    """Subprocess backend: the environment hangs when one step or reset takes longer."""

    def __post_init__(self) -> None:
        require(self.time_limit is None or self.time_limit >= 1, "time_limit", self.time_limit, "at least 1")
        indices = self.observation_indices
        distinct = indices is None or (len(set(indices)) == len(indices) > 0 and min(indices) >= 0)
        require(distinct, "observation_indices", indices, "different integers of at least 0, at least one of them")
        require(self.frame_stack >= 1, "frame_stack", self.frame_stack, "at least 1")
        require(self.step_timeout_s > 0, "step_timeout_s", self.step_timeout_s, "more than 0 seconds")
        for word in self.wrappers:
            read_word(word)  # it raises for one that is unknown, and for wrong arguments
        if self.backend != "envpool":
            self.spec  # noqa: B018 - it raises for an unknown id
        takes = f"False: {self.id} has one agent"
        require(not self.global_state or self.of_agents, "global_state", self.global_state, takes)

    @classmethod
    def of(cls, env: str | EnvConfig | MakeEnv, **changes: Any) -> EnvConfig:
        """The config of an environment that is given as its id, as a class of gymnasium.Env, as a function that returns
        one, or as a config; `changes` are fields of it: `EnvConfig.of(Corridor, kwargs={"length": 9}, time_limit=50)`.

        What another process cannot import (of a script's or a notebook's own, or of a function) is known to this
        process alone: its run cannot have workers, and is resumed where it is defined. Raises UserError for what makes
        no environments and for unknown fields.
        """
        known = [part.name for part in fields(cls) if part.name != "id"]
        for name in changes:
            require(name in known, name, changes[name], f"the name of a field of EnvConfig{nearest_hint(name, known)}")
        if isinstance(env, EnvConfig):
            return replace(env, **changes)
        return cls(env if isinstance(env, str) else id_of(env), **changes)

    @cached_property
    def spec(self) -> EnvSpec:
        """What Gymnasium knows of the environment."""
        return find_spec(self.id)

    def __getstate__(self) -> dict[str, Any]:
        if known_here_alone(self.id):
            raise UserError(
                f"env.id = {self.id!r}: other processes (workers, learners, the backend 'subprocess') cannot find it; "
                "move it to the top of a module"
            )
        # Without the spec: another process finds it anew, which imports the environment's module there.
        return {part.name: getattr(self, part.name) for part in fields(self)}

    @property
    def of_agents(self) -> bool:
        """Whether it is a match of several agents."""
        return self.backend != "envpool" and of_agents(self.spec)

    @property
    def of_turns(self) -> bool:
        """Whether two players of a game move in turn."""
        return self.id in BOARDS

    @property
    def has_reset_transitions(self) -> bool:
        """Whether a step after an episode's end is the reset of the next one (envs/vectors/next_step.py)."""
        return self.backend in ("vector-entry-point", "envpool")

    @property
    def longest_episode_steps(self) -> int | None:
        """The time limit in env steps, this config's or that of the registration; None where neither has one."""
        if self.time_limit is not None or self.backend == "envpool":
            return self.time_limit
        return self.spec.max_episode_steps

    @property
    def needs_fresh_instance(self) -> bool:
        if self.fresh_instance is None:
            return self.spec.id.startswith(NEEDS_FRESH_INSTANCE)
        return self.fresh_instance
