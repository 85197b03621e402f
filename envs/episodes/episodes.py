"""Finished episodes as arrays: the form in which recordings and datasets are learned from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from envs.vectors.vector import Arrays
from training.core import Batch
from training.errors import require


@dataclass(frozen=True, eq=False)
class Episodes:
    """Episodes one after another, E of them with S steps together, as named arrays in the dtypes of `envs.spaces`.

    Episode e has `lengths[e]` steps and one observation more. Actions are the environment's own: a policy that learns
    rescaled ones has `learned_action`.
    """

    observation_space: gym.Space[Any]
    action_space: gym.Space[Any]
    obs: Arrays
    """"obs" or "obs/<name>" [S + E, ...]: of each episode all that it saw, to the last."""
    action: Arrays
    """"action" or "action/<name>" [S, ...]"""
    reward: NDArray[np.float64]
    """[S]"""
    terminated: NDArray[np.bool_]
    """[S]"""
    truncated: NDArray[np.bool_]
    """[S]; the last step of every episode is terminated or truncated, or both, and no other step is."""
    lengths: NDArray[np.int64]
    """[E]"""

    def __post_init__(self) -> None:
        steps = int(self.lengths.sum())
        assert all(len(value) == steps for value in (*self.action.values(), self.reward, self.terminated))
        assert all(len(value) == steps + len(self.lengths) for value in self.obs.values())

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def steps(self) -> int:
        """How many steps all episodes have together, S."""
        return len(self.reward)

    @property
    def starts(self) -> NDArray[np.int64]:
        """[E] the first step of each episode; its first observation is in row `starts[e] + e`."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def obs_rows(self) -> NDArray[np.int64]:
        """[S] where in `obs` the observation of each step is; the one that followed is in the next row."""
        return np.arange(self.steps) + np.repeat(np.arange(len(self)), self.lengths)

    @property
    def returns(self) -> NDArray[np.float64]:
        """[E] the undiscounted return of each episode."""
        return np.add.reduceat(self.reward, self.starts)

    @property
    def returns_to_go(self) -> NDArray[np.float64]:
        """[S] the undiscounted sum of the rewards of each step and of those after it in its episode."""
        total = np.cumsum(self.reward)
        ends = self.starts + self.lengths - 1
        return np.repeat(total[ends], self.lengths) - total + self.reward

    @property
    def measures(self) -> dict[str, float]:
        """How many there are, and what they are worth."""
        returns = self.returns
        return {
            "dataset/episodes": float(len(self)),
            "dataset/env_steps": float(self.steps),
            "dataset/return_mean": float(returns.mean()),
            "dataset/return_std": float(returns.std()),
        }

    @property
    def sha256(self) -> str:
        """Of everything that is learned from."""
        digest = hashlib.sha256()
        rest = {"reward": self.reward, "terminated": self.terminated, "truncated": self.truncated}
        for key, value in (self.obs | self.action | rest | {"lengths": self.lengths}).items():
            digest.update(f"{key} {value.dtype} {value.shape}\n".encode())
            digest.update(np.ascontiguousarray(value).data)
        return digest.hexdigest()

    def select(self, chosen: Sequence[int] | NDArray[np.int64]) -> Episodes:
        """These episodes, in this order."""
        starts, lengths = self.starts, self.lengths
        none = np.empty(0, np.int64)
        rows = np.concatenate([none, *(np.arange(starts[e], starts[e] + lengths[e]) for e in chosen)])
        seen = np.concatenate([none, *(np.arange(starts[e] + e, starts[e] + e + lengths[e] + 1) for e in chosen)])
        return replace(
            self,
            obs={key: value[seen] for key, value in self.obs.items()},
            action={key: value[rows] for key, value in self.action.items()},
            reward=self.reward[rows],
            terminated=self.terminated[rows],
            truncated=self.truncated[rows],
            lengths=lengths[np.asarray(chosen, np.int64)],
        )

    def top(self, fraction: float) -> Episodes:
        """The episodes with the highest returns, at least one of them, in the order they have here."""
        require(0 < fraction <= 1, "top_fraction", fraction, "a number above 0, up to 1")
        best = np.argsort(-self.returns, kind="stable")[: max(1, round(fraction * len(self)))]
        return self.select(np.sort(best))

    def samples(self) -> Batch:
        """Every step as a sample [S, ...]: observation, action, reward and ends."""
        return {key: torch.from_numpy(value[self.obs_rows]) for key, value in self.obs.items()} | {
            **{key: torch.from_numpy(value) for key, value in self.action.items()},
            "reward": torch.from_numpy(self.reward.astype(np.float32)),
            "terminated": torch.from_numpy(self.terminated),
            "truncated": torch.from_numpy(self.truncated),
        }

    def rollout(self, e: int) -> Batch:
        """One episode as the rollout [T, 1] of an environment that was reset before and after it."""
        one = self.select([e])
        samples = {key: value.unsqueeze(1) for key, value in one.samples().items() if key.split("/")[0] != "obs"}
        obs = {key: torch.from_numpy(value).unsqueeze(1) for key, value in one.obs.items()}
        return (
            samples
            | obs
            | {
                "is_first": (torch.arange(one.steps + 1) == 0).unsqueeze(1),
                "final_index": torch.tensor([[one.steps - 1, 0]]),
                **{key.replace("obs", "final_obs", 1): value[-1] for key, value in obs.items()},
            }
        )


def join(parts: Sequence[Episodes]) -> Episodes:
    """The episodes of all parts, one after another; the spaces are the first one's."""
    return replace(
        parts[0],
        obs={key: np.concatenate([part.obs[key] for part in parts]) for key in parts[0].obs},
        action={key: np.concatenate([part.action[key] for part in parts]) for key in parts[0].action},
        reward=np.concatenate([part.reward for part in parts]),
        terminated=np.concatenate([part.terminated for part in parts]),
        truncated=np.concatenate([part.truncated for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
    )
