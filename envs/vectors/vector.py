"""The contract of every vector environment: N copies of one environment, stepped together.

Autoreset is SAME_STEP: where an episode ends, the step already returns the first observation of the next one in `obs`
and the last observation of the ended one in `final_obs`, so that truncated episodes can be bootstrapped.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from envs.vectors.final_info import FinalInfo
from training.state import State, Stateful

Arrays = dict[str, NDArray[Any]]
"""Named arrays: "obs", "obs/<name>", "action" or "action/<name>"."""


class Step(NamedTuple):
    """What N environments returned. The arrays in `obs` are valid until the next step; all others are the caller's."""

    obs: Arrays
    """[N, ...] what to act on next."""
    reward: NDArray[np.float64]
    """[N]"""
    terminated: NDArray[np.bool_]
    """[N] the episode ended in a terminal state."""
    truncated: NDArray[np.bool_]
    """[N] the episode was cut by a limit. Both may be True: the end is then terminal."""
    final_obs: Arrays
    """[K, ...] the last observation of each of the K episodes that ended in this step, in the order of the envs."""
    action_mask: NDArray[np.bool_] | None = None
    """[N, A] True where an action is allowed on `obs` (see envs/masks.py); None where the environment reports no
    mask."""
    valid: NDArray[np.bool_] | None = None
    """[N] False where this step was no transition and must not be learned from or counted, see
    envs/vectors/next_step.py; None: all are."""
    final_action_mask: NDArray[np.bool_] | None = None
    """[K, A] the same of `final_obs`."""
    final_info: tuple[FinalInfo, ...] | None = None
    """[K] the numbers that the environment tells of each of these episodes; None where it tells none."""
    opponent_next: NDArray[np.bool_] | None = None
    """[N] True where the next observation is an opponent's, whose gain is the loss of whoever acted; None: nowhere."""


class VectorEnv(Stateful, Protocol):
    """N copies of one environment. Raises EnvFault where one of them fails; it is closed by then."""

    num_envs: int
    """N, the rows."""
    num_agents: int = 1
    """So many rows, next to each other, are the agents of one match; 1: each row is an environment of its own. The rows
    of an agent whose part is over before the match are not `valid` until the next match begins."""
    observation_space: gym.Space[Any]
    """Of one row."""
    action_space: gym.Space[Any]
    """Of one row, with the bounds that the environment itself has."""
    inexact: list[str]
    """Why the newest `load_state_dict` could not continue exactly, one line for each reason; empty: it did."""

    @property
    def episode_steps(self) -> NDArray[np.int64]:
        """[N] how many steps each running episode has had; 0 where `obs` is the first observation of its episode."""
        ...

    def reset(self) -> Step:
        """Starts episode 0 of every environment; rewards are zero and nothing has ended."""
        ...

    def current(self) -> Step:
        """What to act on now, in the form that `reset` returns: for a caller that has just loaded a state."""
        ...

    def send(self, action: Arrays) -> None:
        """Begins a step with "action" or "action/<name>" [N, ...]; worker processes simulate until `receive`.

        Raises ValueError where an action does not fit its space.
        """
        ...

    def receive(self) -> Step:
        """Ends the step that `send` began."""
        ...

    def step(self, action: Arrays) -> Step:
        """Acts, and waits for what comes of it."""
        self.send(action)
        return self.receive()

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...

    def close(self) -> None:
        """Ends every environment and process; closing twice is fine."""
        ...


def of_matches(
    step: Step, vec: VectorEnv
) -> tuple[NDArray[np.float64], NDArray[np.bool_] | Literal[1], NDArray[np.bool_]]:
    """Of the matches in the rows of a step that `vec` has just made, each [N / num_agents]: what their agents got
    together, whether it was a step of theirs (1: of all), and whether they ended.

    This is asked in every step, so where each row is an environment of its own nothing is made anew.
    """
    valid, agents = step.valid, vec.num_agents
    if agents == 1:
        ended = step.terminated | step.truncated
        return (step.reward, 1, ended) if valid is None else (step.reward * valid, valid, ended)
    # A match has ended where the next one has begun.
    ended = vec.episode_steps[::agents] == 0
    reward = step.reward.reshape(-1, agents)
    if valid is None:
        return reward.sum(1), 1, ended
    played = valid.reshape(-1, agents)
    return np.where(played, reward, 0.0).sum(1), np.asarray(played.any(1)), ended


class EnvFault(RuntimeError):  # noqa: N818 - it is the environment's fault, not ours
    """An environment broke: one line that says which one, where in its episode, on which action, and how."""


def describe_fault(
    env_id: str, env_index: int, episode: int, episode_step: int, action: object | None, what: str
) -> str:
    """The line of an EnvFault. `episode_step` counts from 1 for the step that failed; 0 is the reset."""
    at = f"at step {episode_step}" if episode_step else "at its reset"
    acted = "" if action is None else f", action {_one_line(action)}"
    return f"env {env_index} ({env_id}), episode {episode}, {at}{acted}: {_one_line(what)}"


def _one_line(value: object, limit: int = 400) -> str:
    line = " ".join(str(value).split())
    return line if len(line) <= limit else line[:limit] + "..."


def episode_seed(seed: int, env_index: int, episode_index: int) -> int:
    """The seed, in [0, 2**31), of one episode of one environment of a run."""
    sequence = np.random.SeedSequence(seed, spawn_key=(env_index, episode_index))
    return int(sequence.generate_state(1)[0]) >> 1


def named(prefix: str, name: str) -> str:
    """The key of a leaf: "obs" for a plain space, "obs/image" for a nested one."""
    return f"{prefix}/{name}" if name else prefix
