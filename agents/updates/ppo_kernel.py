"""PPO's gradient steps by `ppo_kernel.cpp`, for perceptrons: the same as in torch, in less time."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from agents.policies.actor_critic import ActorCritic
from agents.policies.heads import Categorical
from agents.updates.configs import ClippedConfig
from training import native
from training.core import Batch, Counters
from training.metrics import Metrics
from training.networks.in_cpp import TAKEN, address, parameters_of, pointers, shape_of
from training.optimizer import Optimizer, OptimizerConfig
from training.optimizer.kernel import Made, Moments

SOURCE = Path(__file__).with_suffix(".cpp")
MEASURED = ("policy/loss", "policy/entropy", "policy/kl", "policy/clipped_fraction", "value/loss")
"""What it measures of each minibatch after the loss and the norm, in its order."""


class _Settings(ctypes.Structure):
    _fields_ = (
        *(
            (name, ctypes.c_float)
            for name in ("clip_range", "value_coefficient", "entropy_coefficient", "max_grad_norm")
        ),
        *((name, ctypes.c_double) for name in ("learning_rate", "beta1", "beta2", "epsilon")),
        ("normalizes_advantage", ctypes.c_int32),
    )


def takes(policy: nn.Module, config: ClippedConfig, optimizer: OptimizerConfig) -> bool:
    """Whether it computes this policy: perceptrons with tanh or ReLU on numbers, with one choice or Gaussian actions,
    trained by PPO's own loss and plain Adam in float32. It has one thread."""
    if config.objective != "clipped" or config.above_to_below != 1:
        return False
    if type(policy) is not ActorCritic or policy.device.type != "cpu":
        return False
    if policy.config.critic_only:
        return False
    known = shape_of(policy.actor) is not None and shape_of(policy.critic) is not None
    single = all(parameter.dtype == torch.float32 for parameter in policy.parameters())
    encoders = (policy.actor_encoder, policy.critic_encoder)
    bare = all(encoder.own is None and not list(encoder.parameters()) for encoder in encoders)
    plain = policy.plain_head is not None and optimizer == _plain(optimizer)
    return known and bare and single and plain and native.can_load(SOURCE)


def _plain(config: OptimizerConfig) -> OptimizerConfig:
    """Such Adam as it computes."""
    return OptimizerConfig(
        learning_rate=config.learning_rate,
        schedule=config.schedule,
        betas=config.betas,
        eps=config.eps,
        max_grad_norm=config.max_grad_norm,
        compile=config.compile,
    )


class PPOKernel:
    """Values, log-probabilities and gradient steps of one policy, on the parameters and moments that torch holds."""

    def __init__(self, policy: ActorCritic, config: ClippedConfig, optimizer: Optimizer) -> None:
        self._policy, self._config, self._optimizer = policy, config, optimizer
        self._library = _library()
        shape = shape_of(policy.actor)
        assert shape is not None
        self._inputs, self._is_categorical = shape.inputs, isinstance(policy.plain_head, Categorical)
        self._kernel = self._library.ppo_kernel(*shape.arguments(), self._is_categorical, config.minibatch_size)
        self._parameters = [*parameters_of(policy.actor), *parameters_of(policy.critic), *policy.heads.log_std.values()]

    def __del__(self) -> None:
        if hasattr(self, "_kernel"):
            self._library.ppo_kernel_free(self._kernel)

    def value(self, batch: Batch) -> Tensor:
        """As `ActorCritic.value`."""
        features = self._features(batch)
        value = torch.empty(features.shape[:-1])
        self._evaluate(features, None, None, value, None)
        return value

    def log_prob(self, batch: Batch) -> Tensor:
        """As `ActorCritic.log_prob`."""
        features = self._features(batch)
        log_prob = torch.empty(features.shape[:-1])
        self._evaluate(features, self._action(batch), batch.get("action_mask"), None, log_prob)
        return log_prob

    def steps(self, data: Batch, minibatches: Sequence[Tensor], now: Counters, clip_range: float) -> Metrics:
        """A gradient step on each of the minibatches, which are rows of the samples `data` [B, ...], in turn.

        Raises NonFinite, as the optimizer does.
        """
        log_prob, advantage, target = (data[name].contiguous() for name in ("log_prob", "advantage", "return"))
        features, action, mask = self._features(data), self._action(data), data.get("action_mask")
        coefficients = self._config.value_coefficient, self._config.entropy_coefficient

        def made(moments: Moments) -> Made:
            adam = moments.learning_rate, *moments.betas, moments.eps
            settings = _Settings(
                clip_range, *coefficients, moments.max_grad_norm or 0.0, *adam, self._config.normalize_advantage
            )
            parameters, count = pointers(self._parameters, moments.means, moments.squares), 0
            measured = torch.empty(len(minibatches), 2 + len(MEASURED), dtype=torch.float64)
            norms = torch.empty(len(self._parameters), dtype=torch.float64)
            for size, rows in _of_one_size(minibatches):
                done = self._library.ppo_kernel_update(
                    self._kernel,
                    parameters,
                    ctypes.byref(settings),
                    moments.steps + count,
                    *map(address, (features, action, mask, log_prob, advantage, target, rows)),
                    size,
                    len(rows),
                    address(measured[count:]),
                    address(norms),
                )
                count += done
                if done < len(rows):
                    break
            return Made(count, [len(rows) for rows in minibatches], measured, norms, MEASURED)

        return self._optimizer.steps_by(made, self._parameters, now)

    def _features(self, batch: Batch) -> Tensor:
        """What the perceptrons see of observations: [..., inputs], contiguous."""
        with torch.no_grad():
            features: Tensor = self._policy.actor_encoder(self._policy.normalized(batch))
        return features.contiguous()

    def _action(self, batch: Batch) -> Tensor:
        kind = torch.int64 if self._is_categorical else torch.float32
        return batch["action"].to(kind).contiguous()

    def _evaluate(
        self,
        features: Tensor,
        action: Tensor | None,
        mask: Tensor | None,
        value: Tensor | None,
        log_prob: Tensor | None,
    ) -> None:
        count = features.numel() // self._inputs
        given = map(address, (features, action, mask, value, log_prob))
        self._library.ppo_kernel_evaluate(self._kernel, pointers(self._parameters), count, *given)


def _of_one_size(minibatches: Sequence[Tensor]) -> Iterator[tuple[int, Tensor]]:
    """Minibatches one after another, [several, size], with their size; the last of an epoch may be a smaller one."""
    for size, group in groupby(minibatches, len):
        yield size, torch.stack(list(group))


def _library() -> Any:
    library = native.load(SOURCE)
    library.ppo_kernel.restype = ctypes.c_void_p
    int32, int64, pointer = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p
    library.ppo_kernel.argtypes = [*TAKEN, int32, int32]
    library.ppo_kernel_free.argtypes = [pointer]
    library.ppo_kernel_evaluate.argtypes = [pointer, pointer, int64, *[pointer] * 5]
    library.ppo_kernel_update.argtypes = [
        pointer,
        pointer,
        pointer,
        int64,
        *[pointer] * 7,
        int64,
        int64,
        pointer,
        pointer,
    ]
    library.ppo_kernel_update.restype = int64
    return library
