"""Stepping environments with a policy: the inference group, and the collector that holds groups in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from itertools import repeat
from typing import Any, NamedTuple, Protocol, TypeVar

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from agents.acting import rollout_kernel
from agents.acting.rollout_kernel import RolloutKernel
from agents.policies.policy import Mode, Policy
from envs.config import EnvConfig
from envs.making import make_vec
from envs.spaces import row_bytes
from envs.vectors.final_info import FinalInfo, means_of
from envs.vectors.vector import Arrays, Step, VectorEnv, of_matches
from training import learners
from training.core import Batch
from training.errors import require
from training.metrics import Mean, Metrics, Sum
from training.seeding import derived_seed, generator
from training.state import State, Stateful

T = TypeVar("T")


class Collector(Stateful, Protocol):
    """Steps environments with the newest published policy, in this process or on workers."""

    num_envs: int
    """The rows of all environments together."""
    num_agents: int
    """How many of these are the agents of one match."""
    observation_space: gym.Space[Any]
    """Of one row."""
    action_space: gym.Space[Any]
    """Of one row."""

    @property
    def inexact(self) -> list[str]:
        """Why the data are not those of an undisturbed run: what could not be restored, what was lost."""
        ...

    def publish(self, policy: Policy, version: int) -> None: ...

    def collect(self, horizon: int, mode: Mode = "explore") -> tuple[Batch, Metrics]:
        """`horizon` steps of every environment, [T, N] (see `training.core.Batch`), and the episodes' statistics."""
        ...

    def close(self) -> None: ...


def count_env_steps(rollout: Batch, num_agents: int = 1) -> int:
    """Of a [T, N] rollout: rows that only begin an episode are none, and what K agents do at once is one."""
    if "valid" not in rollout:
        return rollout["reward"].numel() // num_agents
    return int(rollout["valid"].unflatten(1, (-1, num_agents)).any(2).sum())


def rollout_bytes(observation_space: gym.Space[Any], action_space: gym.Space[Any], horizon: int, num_envs: int) -> int:
    """Of memory that the arrays of a rollout take, without masks, final observations and what policies add."""
    seen = (horizon + 1) * (row_bytes(observation_space) + 1)  # whether it is the first of its episode
    done = horizon * (row_bytes(action_space) + 4 + 1 + 1)  # reward, terminated, truncated
    return num_envs * (seen + done)


class Episode(NamedTuple):
    """One finished episode: its undiscounted return, its length in env steps and what the environment told of it.

    Of a match of several agents the return is the sum of theirs.
    """

    total_reward: float
    length: int
    info: FinalInfo | None = None


class Group:
    """An inference group: a fixed set of environments, one policy call a step, one random stream.

    It is the unit of equality: the same groups give the same data wherever they run. Splitting a group in another way
    would change the last bits of the policy's matrix products.
    """

    def __init__(self, vec: VectorEnv, *, seed: int, index: int) -> None:
        self.vec = vec
        self._rng = generator(seed, "acting", index)
        self._policy_state: Arrays = {}
        self._kernel: RolloutKernel | None = None
        self._episode_return = np.zeros(vec.num_envs // vec.num_agents)
        self._episode_length = np.zeros(vec.num_envs // vec.num_agents, np.int64)
        self._step = vec.reset()

    @property
    def inexact(self) -> list[str]:
        return self.vec.inexact

    def collect(self, policy: Policy, horizon: int, mode: Mode) -> Generator[None, None, tuple[Batch, list[Episode]]]:
        """Collects a rollout; yields whenever its environments have been sent their actions."""
        num_envs = self.vec.num_envs
        if mode == "explore" and rollout_kernel.takes(policy, self.vec):
            return self._collect_compiled(policy, horizon)
        act, noise = policy.acting(mode, num_envs), policy.noise((horizon, num_envs), self._rng)
        rollout = _Storage(self._step, horizon)
        rollout.put_obs(0, self._step, self.vec.episode_steps == 0)
        before = self._policy_state
        ended: list[Episode] = []
        for t in range(horizon):
            noise_now = {key: rows[t] for key, rows in noise.items()}
            action, self._policy_state = act(rollout.obs(t), self._policy_state, noise_now)
            self.vec.send(policy.env_action(action))
            yield
            self._step = self.vec.receive()
            done = self._step.terminated | self._step.truncated
            (rows,) = done.nonzero()
            ended += self._count_episodes(self._step, rows)
            rollout.put(t, action, self._step, rows, self._policy_state)
            rollout.put_obs(t + 1, self._step, self.vec.episode_steps == 0)
        return rollout.batch(before, self._policy_state), ended

    def _collect_compiled(self, policy: Any, horizon: int) -> tuple[Batch, list[Episode]]:
        """The same in one call, which nobody waits for meanwhile."""
        if self._kernel is None or self._kernel.policy is not policy:
            self._kernel = RolloutKernel(policy, self.vec)  # type: ignore[arg-type]
        noise = policy.noise((horizon, self.vec.num_envs), self._rng)
        batch, ended = self._kernel.collect(self._step.obs["obs"], noise, self._episode_return, self._episode_length)
        self._step = self.vec.current()
        return batch, [Episode(*counts) for counts in zip(ended.returns, ended.lengths, strict=True)]

    def _count_episodes(self, step: Step, ended_rows: NDArray[np.intp]) -> list[Episode]:
        """Adds the step to the running episodes; returns those that ended."""
        reward, counts, has_ended = of_matches(step, self.vec)
        self._episode_return += reward
        self._episode_length += counts
        matches = ended_rows if self.vec.num_agents == 1 else np.flatnonzero(has_ended)
        ended = [
            Episode(float(self._episode_return[n]), int(self._episode_length[n]), told)
            for n, told in zip(matches, step.final_info or repeat(None), strict=False)
        ]
        if ended:
            self._episode_return[matches] = 0.0
            self._episode_length[matches] = 0
        return ended

    def state_dict(self) -> State:
        return {
            "env": self.vec.state_dict(),
            "rng": self._rng.get_state(),
            "policy_state": self._policy_state,
            "episode_return": self._episode_return,
            "episode_length": self._episode_length,
        }

    def load_state_dict(self, state: State) -> None:
        self.vec.load_state_dict(state["env"])
        self._rng.set_state(state["rng"])
        self._policy_state = state["policy_state"]
        self._step = self.vec.current()
        # An episode that could not be continued has been started again; its counts start again with it.
        again = self.vec.episode_steps[:: self.vec.num_agents] == 0
        self._episode_return = np.where(again, 0.0, state["episode_return"])
        self._episode_length = np.where(again, 0, state["episode_length"])


def make_group(env: EnvConfig, num_envs: int, *, seed: int, index: int, life: int = 0) -> Group:
    """Inference group number `index` of a run, of `num_envs` environments, or matches of several agents.

    Where a group could not go on and begins again, its next `life` has other episodes and other noise.
    """
    if life:
        seed = derived_seed(seed, "life", life)
    vec = make_vec(env, num_envs, seed=derived_seed(seed, "environments"), first_env=index * num_envs)
    return Group(vec, seed=seed, index=index)


class LocalCollector:
    """Groups of environments in this process, side by side along N. With one group nothing is copied."""

    def __init__(self, make_group: Callable[[int], Group], groups: int = 1) -> None:
        self._groups = [make_group(index) for index in range(groups)]
        self.num_envs = sum(group.vec.num_envs for group in self._groups)
        self.num_agents = self._groups[0].vec.num_agents
        self.observation_space = self._groups[0].vec.observation_space
        self.action_space = self._groups[0].vec.action_space

    @property
    def inexact(self) -> list[str]:
        return [reason for group in self._groups for reason in group.inexact]

    def publish(self, policy: Policy, version: int) -> None:
        self._policy = policy

    def collect(self, horizon: int, mode: Mode = "explore") -> tuple[Batch, Metrics]:
        batch, ended = self.collect_episodes(horizon, mode)
        return batch, episode_metrics(ended)

    def collect_episodes(self, horizon: int, mode: Mode) -> tuple[Batch, list[Episode]]:
        """`collect`, with the episodes that ended instead of their statistics."""
        return joined(self.collect_groups(horizon, mode))

    def collect_groups(self, horizon: int, mode: Mode) -> list[tuple[Batch, list[Episode]]]:
        """The rollout of each group, and the episodes that ended in it."""
        return take_turns([group.collect(self._policy, horizon, mode) for group in self._groups])

    def state_dict(self) -> State:
        return {"groups": [group.state_dict() for group in self._groups]}

    def load_state_dict(self, state: State) -> None:
        _require_groups(len(self._groups), state)
        for group, saved in zip(self._groups, state["groups"], strict=True):
            group.load_state_dict(saved)

    def close(self) -> None:
        for group in self._groups:
            group.vec.close()


class SharedCollector:
    """Groups of environments that several learners step, each its part of them; every learner gets all the data.

    The data are those of a `LocalCollector` of the same groups, bit for bit. All learners must call its methods.
    """

    def __init__(self, make_group: Callable[[int], Group], groups: int) -> None:
        self._groups = groups
        own = learners.mine(range(groups))
        self._own = LocalCollector(lambda index: make_group(own[index]), len(own))
        self.num_envs = sum(learners.gathered(self._own.num_envs))
        self.num_agents = self._own.num_agents
        self.observation_space, self.action_space = self._own.observation_space, self._own.action_space
        self.inexact: list[str] = []

    def publish(self, policy: Policy, version: int) -> None:
        self._own.publish(policy, version)

    def collect(self, horizon: int, mode: Mode = "explore") -> tuple[Batch, Metrics]:
        batch, ended = joined(learners.all_of(self._own.collect_groups(horizon, mode)))
        return batch, episode_metrics(ended)

    def state_dict(self) -> State:
        return {"groups": learners.all_of(self._own.state_dict()["groups"])}

    def load_state_dict(self, state: State) -> None:
        _require_groups(self._groups, state)
        self._own.load_state_dict({"groups": learners.mine(state["groups"])})
        self.inexact = [reason for reasons in learners.gathered(self._own.inexact) for reason in reasons]

    def close(self) -> None:
        self._own.close()


def _require_groups(groups: int, state: State) -> None:
    saved = len(state["groups"])
    require(saved == groups, "groups", groups, f"{saved}, as in the saved state")


def take_turns(tasks: Sequence[Generator[None, None, T]]) -> list[T]:
    """Runs tasks of equal length step by step in turn: while the workers of one simulate, the policy acts for another.

    Returns what each of them returns.
    """
    returned: list[T] = []
    while len(returned) < len(tasks):
        for task in tasks:
            try:
                next(task)
            except StopIteration as end:
                returned.append(end.value)
    return returned


class _Storage:
    """The arrays of one rollout, allocated once; the batch that is made of them shares their memory."""

    def __init__(self, step: Step, horizon: int) -> None:
        num_envs = len(step.reward)
        first = {**step.obs, "is_first": step.terminated}
        if step.action_mask is not None:
            first["action_mask"] = step.action_mask
        self._seen = {key: np.empty((horizon + 1, *value.shape), value.dtype) for key, value in first.items()}
        self._reward = np.empty((horizon, num_envs), np.float32)
        self._terminated = np.empty((horizon, num_envs), bool)
        self._truncated = np.empty((horizon, num_envs), bool)
        self._valid: np.ndarray[Any, Any] | None = None
        self._opponent_next = None if step.opponent_next is None else np.empty((horizon, num_envs), bool)
        self._actions: Arrays = {}
        self._final_obs: dict[str, list[Any]] = {key: [] for key in step.obs}
        self._final_mask: list[NDArray[np.bool_]] = []
        self._final_index: list[tuple[int, int]] = []
        self._final_state: list[Arrays] = []
        self._horizon = horizon

    def obs(self, t: int) -> Arrays:
        """What the policy sees at step t, [N, ...]."""
        return {key: value[t] for key, value in self._seen.items()}

    def put_obs(self, t: int, step: Step, is_first: NDArray[np.bool_]) -> None:
        for key, value in step.obs.items():
            self._seen[key][t] = value
        self._seen["is_first"][t] = is_first
        if step.action_mask is not None:
            self._seen["action_mask"][t] = step.action_mask

    def put(self, t: int, action: Arrays, step: Step, ended_rows: NDArray[np.intp], policy_state: Arrays) -> None:
        for key, value in action.items():
            if t == 0:
                self._actions[key] = np.empty((self._horizon, *value.shape), value.dtype)
            self._actions[key][t] = value
        self._reward[t] = step.reward
        self._terminated[t] = step.terminated
        self._truncated[t] = step.truncated
        if len(ended_rows):
            self._final_index += [(t, int(n)) for n in ended_rows]
            for key, rows in step.final_obs.items():
                self._final_obs[key].append(rows)
            if step.final_action_mask is not None:
                self._final_mask.append(step.final_action_mask)
            if policy_state:
                self._final_state.append({name: value[ended_rows] for name, value in policy_state.items()})
        if self._opponent_next is not None:
            self._opponent_next[t] = step.opponent_next
        if step.valid is not None:
            if self._valid is None:
                self._valid = np.ones(self._reward.shape, bool)
            self._valid[t] = step.valid

    def batch(self, state_before: Arrays, state_after: Arrays) -> Batch:
        batch = {key: torch.from_numpy(value) for key, value in (self._seen | self._actions).items()}
        batch["reward"] = torch.from_numpy(self._reward)
        batch["terminated"] = torch.from_numpy(self._terminated)
        batch["truncated"] = torch.from_numpy(self._truncated)
        batch["final_index"] = torch.tensor(self._final_index, dtype=torch.int64).reshape(-1, 2)
        for key, rows in self._final_obs.items():
            none = self._seen[key][0, :0]
            batch[key.replace("obs", "final_obs", 1)] = torch.from_numpy(np.concatenate([none, *rows]))
        if "action_mask" in self._seen:
            none = self._seen["action_mask"][0, :0]
            batch["final_action_mask"] = torch.from_numpy(np.concatenate([none, *self._final_mask]))
        for name, after in state_after.items():
            batch[f"state/{name}"] = torch.from_numpy(state_before.get(name, np.zeros_like(after)))
            finals = [state[name] for state in self._final_state]
            batch[f"final_state/{name}"] = torch.from_numpy(np.concatenate([after[:0], *finals]))
        if self._valid is not None:
            batch["valid"] = torch.from_numpy(self._valid)
        if self._opponent_next is not None:
            batch["opponent_next"] = torch.from_numpy(self._opponent_next)
        return batch


def joined(collected: Sequence[tuple[Batch, list[Episode]]]) -> tuple[Batch, list[Episode]]:
    """One rollout of what several groups collected, and all episodes that ended."""
    return join_groups([batch for batch, _ in collected]), [episode for _, ended in collected for episode in ended]


def join_groups(batches: Sequence[Batch]) -> Batch:
    """One batch of several groups' rollouts, side by side along N. Of one alone nothing is copied."""
    if len(batches) == 1:
        return batches[0]
    joined: Batch = {}
    offsets = np.cumsum([0] + [batch["reward"].shape[1] for batch in batches])
    for key in batches[0]:
        if key == "final_index":
            shift = [torch.tensor([0, int(offset)]) for offset in offsets[:-1]]
            joined[key] = torch.cat([batch[key] + by for batch, by in zip(batches, shift, strict=True)])
        else:
            rows_first = key.startswith(("final_", "state/"))
            joined[key] = torch.cat([batch[key] for batch in batches], dim=0 if rows_first else 1)
    return joined


def episode_metrics(ended: Sequence[Episode]) -> Metrics:
    """What a row of the log says of the episodes that ended."""
    if not ended:
        return {"rollout/episodes": Sum(0)}
    returns, lengths = np.array([episode[:2] for episode in ended]).T
    told = means_of(episode.info for episode in ended)
    return {
        **{f"rollout/{name}_mean": Mean(value, count) for name, (value, count) in told.items()},
        "rollout/return_mean": Mean(float(returns.mean()), len(ended)),
        "rollout/length_mean": Mean(float(lengths.mean()), len(ended)),
        "rollout/episodes": Sum(len(ended)),
    }
