"""Rollouts by `rollout_kernel.cpp`: a perceptron acts in environments that have a compiled step, in one call."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from agents.policies.actor_critic import ActorCritic
from agents.policies.heads import LOG_STD_RANGE, Categorical
from agents.policies.policy import Policy
from envs.vectors.batched import BatchedVectorEnv
from envs.vectors.compiled_steps import CompiledSteps
from envs.vectors.vector import Arrays, EnvFault, VectorEnv
from training import native
from training.core import Batch
from training.networks.encoder import Flat
from training.networks.in_cpp import TAKEN, address, parameters_of, pointers, shape_of
from training.networks.in_numpy import mean_and_scale

SOURCE = Path(__file__).with_suffix(".cpp")
BAD_ACTION, BAD_STEP = 1, 2
"""Why it came back."""


class _Acting(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("is_categorical", "outputs", "normalizes")),
        *((name, ctypes.c_void_p) for name in ("mean", "scale", "log_std", "low", "high", "factor", "middle")),
    )


class _Rollout(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("obs", "is_first", "action", "reward", "terminated", "truncated")),
        ("ends", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("final_index", "final_obs", "ended_return", "ended_length")),
        *((name, ctypes.c_void_p) for name in ("episode_return", "episode_length")),
    )


class Ended(NamedTuple):
    """The episodes that ended in a rollout."""

    returns: list[float]
    lengths: list[int]


def takes(policy: Policy, vec: VectorEnv) -> bool:
    """Whether it makes the rollouts of this policy in these environments: where the run has the policy's kernels, it is
    a perceptron on a vector of numbers, and the environments have a compiled step."""
    if type(policy) is not ActorCritic or not policy.has_kernels or policy.device.type != "cpu":
        return False
    if not isinstance(vec, BatchedVectorEnv) or vec.dynamics.compiled() is None:
        return False
    encoder = policy.actor_encoder
    flat = encoder.own is None and [type(part) for part in encoder.encoders.values()] == [Flat]
    return flat and shape_of(policy.actor) is not None and policy.plain_head is not None


class RolloutKernel:
    """Makes rollouts of a policy in the environments of `vec`."""

    def __init__(self, policy: ActorCritic, vec: BatchedVectorEnv) -> None:
        self.policy, self._vec, self._steps = policy, vec, CompiledSteps(vec)
        self._library = _library()
        shape = shape_of(policy.actor)
        assert shape is not None
        self._outputs, self._is_categorical = shape.outputs, isinstance(policy.plain_head, Categorical)
        self._actor = self._library.actor(*shape.arguments(), vec.num_envs)
        self._parameters = parameters_of(policy.actor)

    def __del__(self) -> None:
        if hasattr(self, "_actor"):
            self._library.actor_free(self._actor)

    def collect(
        self,
        seen: NDArray[np.float32],
        noise: Arrays,
        episode_return: NDArray[np.float64],
        episode_length: NDArray[np.int64],
    ) -> tuple[Batch, Ended]:
        """A rollout from what is seen now [N, obs] on, one step for each row of the noise [T, N, ...].

        The returns and lengths of the running episodes [N] are counted on in place. Raises ValueError for an action
        that the environments do not take.
        """
        horizon, num_envs = len(noise["action"]), self._vec.num_envs
        rows = horizon, num_envs
        obs = np.zeros((horizon + 1, num_envs, self._steps.obs_size), np.float32)
        is_first = np.empty((horizon + 1, num_envs), bool)
        obs[0], is_first[0] = seen, self._vec.episode_steps == 0
        shape = () if self._is_categorical else self._vec.action_space.shape or ()
        action = np.empty((*rows, *shape), np.int64 if self._is_categorical else np.float32)
        reward, terminated, truncated = np.empty(rows, np.float32), np.empty(rows, bool), np.empty(rows, bool)
        final_index, final_obs = np.empty((horizon * num_envs, 2), np.int64), np.empty_like(obs[1:])
        returns, lengths = np.empty(horizon * num_envs), np.empty(horizon * num_envs, np.int64)
        stored: list[NDArray[Any]] = [obs, is_first, action, reward, terminated, truncated]
        counted: list[NDArray[Any]] = [final_index, final_obs, returns, lengths, episode_return, episode_length]
        out = _Rollout(*map(address, stored), 0, *map(address, counted))
        acting, kept = self._acting()
        done, is_bad = 0, ctypes.c_int32()
        while done < horizon:
            self._steps.draw_ahead()
            environments = self._steps.environments()
            done = self._library.collect(
                self._actor,
                pointers(self._parameters),
                ctypes.byref(acting),
                ctypes.byref(environments),
                ctypes.byref(out),
                done,
                horizon,
                address(noise["action"]),
                ctypes.byref(is_bad),
            )
            if is_bad.value == BAD_ACTION:
                self._refuse(obs[done], noise["action"][done])
            if is_bad.value == BAD_STEP:
                raise EnvFault("a step of a compiled environment gave a reward or an observation that is not finite")
        del kept
        ends = out.ends
        arrays = {
            "obs": obs,
            "is_first": is_first,
            "action": action,
            "reward": reward,
            "terminated": terminated,
            "truncated": truncated,
            "final_index": final_index[:ends].copy(),
            "final_obs": final_obs.reshape(-1, self._steps.obs_size)[:ends].copy(),
        }
        batch = {key: torch.from_numpy(value) for key, value in arrays.items()}
        return batch, Ended(returns[:ends].tolist(), lengths[:ends].tolist())

    def _acting(self) -> tuple[_Acting, list[Any]]:
        """How the policy acts with the numbers that it has now, and the arrays that must be kept meanwhile."""
        policy, bounds = self.policy, list[Any]([None] * 4)
        statistics = [mean_and_scale(normalizer) for normalizer in policy.normalizers.values()]
        mean, scale = statistics[0] or (None, None) if statistics else (None, None)
        log_std = None
        if not self._is_categorical:
            log_std = policy.heads.log_std["action"].detach().numpy().clip(*LOG_STD_RANGE)
            bounds = [np.ravel(bound).astype(np.float32) for bound in policy.to_bounds("action").as_arrays()]
        kept = [mean, scale, log_std, *bounds]
        return _Acting(self._is_categorical, self._outputs, mean is not None, *map(address, kept)), kept

    def _refuse(self, seen: NDArray[np.float32], noise: NDArray[np.float32]) -> None:
        """Raises the error of the environments for an action that is not a number."""
        act = self.policy.acting("explore", self._vec.num_envs)
        action, _ = act({"obs": seen}, {}, {"action": noise})
        self._vec.send(self.policy.env_action(action))
        raise ValueError(f"action = {action['action']}: it is not a number")


def _library() -> Any:
    library = native.load(SOURCE)
    int64, pointer = ctypes.c_int64, ctypes.c_void_p
    library.actor.argtypes, library.actor.restype = [*TAKEN, ctypes.c_int32], pointer
    library.actor_free.argtypes = [pointer]
    library.collect.argtypes = [*[pointer] * 5, int64, int64, pointer, pointer]
    library.collect.restype = int64
    return library
