"""Records a policy's episodes: in memory, and those of a run as a dataset."""

from __future__ import annotations

from contextlib import closing
from copy import copy
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agents.acting.evaluation import play
from agents.policies.policy import Mode, Policy
from agents.policies.saved import policy_of
from envs.actions import check_actions
from envs.config import EnvConfig
from envs.episodes.dataset_folders import require_free
from envs.episodes.datasets import write_dataset
from envs.episodes.episodes import Episodes
from envs.making import make_vec
from envs.single import make_env
from envs.spaces import leaves
from envs.vectors.vector import Arrays, Step, VectorEnv, episode_seed
from training.errors import UserError, require
from training.run.checkpoint import read_state
from training.run.console import Show
from training.run.folder import find_checkpoint, read_settings
from training.run.provenance import describe_environment
from training.seeding import derived_seed, generator
from training.state import State

NUM_ENVS = 10
"""Environments side by side; each plays the same number of episodes, so that short ones are not favoured."""


def record(
    policy: Policy, env: EnvConfig, episodes: int, *, mode: Mode, seed: int, show: Show | None = None
) -> tuple[Episodes, list[int]]:
    """Plays episodes; returns them and the seed with which the environment was reset for each. `show` is told how far
    it is.

    Raises UserError for an environment whose episodes do not end.
    """
    require(episodes >= 1, "episodes", episodes, "at least 1")
    num_envs = min(NUM_ENVS, episodes)
    seed_of_envs = derived_seed(seed, "recording")
    with closing(Recorder(make_vec(env, num_envs, seed=seed_of_envs))) as recorder:
        each = -(-episodes // num_envs)
        rng, longest = generator(seed, "recording actions"), env.longest_episode_steps
        play(recorder, policy, each, mode=mode, rng=rng, longest=longest, show=show, doing="recording")
        return recorder.episodes(episodes), [
            episode_seed(seed_of_envs, index % num_envs, index // num_envs) for index in range(episodes)
        ]


class Recorder:
    """A vector environment that remembers what has gone through it since its reset."""

    def __init__(self, vec: VectorEnv) -> None:
        self._vec = vec
        self.num_envs, self.num_agents = vec.num_envs, vec.num_agents
        self.observation_space, self.action_space = vec.observation_space, vec.action_space
        self.inexact = vec.inexact
        self._action_leaves = leaves(vec.action_space)

    @property
    def episode_steps(self) -> NDArray[np.int64]:
        return self._vec.episode_steps

    def reset(self) -> Step:
        self._seen: list[Arrays] = []
        self._actions: list[Arrays] = []
        self._came: list[Step] = []
        return self._vec.reset()

    def current(self) -> Step:
        return self._vec.current()

    def send(self, action: Arrays) -> None:
        self._seen.append({key: value.copy() for key, value in self._vec.current().obs.items()})
        self._actions.append(check_actions(self._action_leaves, action, self.num_envs, None))
        self._vec.send(action)

    def receive(self) -> Step:
        step = self._vec.receive()
        self._came.append(step._replace(obs={}))
        return step

    def step(self, action: Arrays) -> Step:
        self.send(action)
        return self.receive()

    def state_dict(self) -> State:
        return self._vec.state_dict()

    def load_state_dict(self, state: State) -> None:
        self._vec.load_state_dict(state)
        self.inexact = self._vec.inexact

    def close(self) -> None:
        self._vec.close()

    def episodes(self, count: int) -> Episodes:
        """The first `count` finished episodes: the first one of every environment, then the second ones, and so on.

        Raises UserError when there are fewer.
        """
        reward = np.stack([step.reward for step in self._came])
        terminated = np.stack([step.terminated for step in self._came])
        truncated = np.stack([step.truncated for step in self._came])
        always = np.ones(self.num_envs, bool)
        valid = np.stack([always if step.valid is None else step.valid for step in self._came])
        found = sorted(
            (k, n, rows)
            for n in range(self.num_envs)
            for k, rows in enumerate(_episodes((terminated | truncated)[:, n], valid[:, n]))
        )[:count]
        if len(found) < count:
            raise UserError(
                f"{count} episodes were to be recorded and {len(found)} ended: give the environment a time_limit"
            )
        at = [(rows, n) for _, n, rows in found]
        return Episodes(
            self.observation_space,
            self.action_space,
            obs={key: np.concatenate([self._observed(key, rows, n) for rows, n in at]) for key in self._seen[0]},
            action={
                key: np.stack([self._actions[t][key][n] for rows, n in at for t in rows]) for key in self._actions[0]
            },
            reward=np.concatenate([reward[rows, n] for rows, n in at]),
            terminated=np.concatenate([terminated[rows, n] for rows, n in at]),
            truncated=np.concatenate([truncated[rows, n] for rows, n in at]),
            lengths=np.array([len(rows) for rows, _ in at]),
        )

    def _observed(self, key: str, rows: list[int], n: int) -> NDArray[Any]:
        """[T+1, ...] of one episode: what was acted on in each of its steps, then its last observation."""
        end = self._came[rows[-1]]
        ended_before = int((end.terminated | end.truncated)[:n].sum())
        return np.stack([*(self._seen[t][key][n] for t in rows), end.final_obs[key][ended_before]])


def _episodes(done: NDArray[np.bool_], valid: NDArray[np.bool_]) -> list[list[int]]:
    """The steps of each finished episode of one environment, from what [T] ended one and what was a step at all."""
    ends = np.flatnonzero(done).tolist()
    begins = [0, *(end + 1 for end in ends)]
    return [[t for t in range(begin, end + 1) if valid[t]] for begin, end in zip(begins, ends, strict=False)]


def record_run(
    folder: Path,
    env: EnvConfig,
    algorithm: str,
    *,
    name: str,
    episodes: int,
    which: Literal["best", "last"],
    stochastic: bool,
    seed: int | None,
    show: Show | None = None,
) -> tuple[Path, Episodes]:
    """Records episodes of a run's policy as the dataset `name`; returns its folder and what it holds.

    Raises UserError, before anything is played, for a wrong or taken name, for an environment that is not made alone,
    and where there is no such checkpoint.
    """
    require_free(name)
    make_env(env).close()  # type: ignore[no-untyped-call]  # a dataset tells of its environment
    settings = read_settings(folder)
    checkpoint = find_checkpoint(folder, which)
    policy = policy_of(read_state(checkpoint, "agent"))
    seed = settings["seed"] if seed is None else seed
    mode: Mode = "explore" if stochastic else "greedy"
    played, seeds = record(policy, env, episodes, mode=mode, seed=seed, show=show)
    told = {
        "experiment": settings["experiment"],
        "run": settings["id"],
        "run_seed": settings["seed"],
        "checkpoint": checkpoint.relative_to(folder).as_posix(),
        "mode": mode,
        "seed": seed,
    }
    return save(name, played, seeds, env, algorithm=algorithm, told=told), played


def save(
    name: str,
    episodes: Episodes,
    seeds: list[int],
    env: EnvConfig,
    *,
    algorithm: str,
    told: dict[str, Any],
    root: Path | None = None,
) -> Path:
    """Writes a dataset with all that is known of how it came to be: `told`, and with which code."""
    with closing(make_env(env)) as made:
        spec = copy(made.spec)
    if spec is not None:
        spec.disable_env_checker = False  # which is our choice, not the environment's
    code = {key: value for key, value in describe_environment().items() if key in ("commit", "dirty")}
    description = f"{len(episodes)} episodes of {env.id} with a mean return of {episodes.returns.mean():.1f}."
    metadata = {"algorithm_name": algorithm, "description": description, "recorded": told | code}
    return write_dataset(name, episodes, env_spec=spec, seeds=seeds, metadata=metadata, root=root)
