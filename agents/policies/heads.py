"""Action heads: from a network's outputs to actions and their log-probabilities, one class for each kind of space.

A head has no weights. `params [..., size]` are the outputs of the policy's last layer (and, for the Gaussian, a learned
standard deviation beside them); actions have the shape of the space behind the same leading dimensions. The noise of
an action is drawn apart from it, on the CPU: that of a whole rollout costs little more than that of one step, and every
device sees the same. Choosing actions is done in NumPy, learning from them in torch; torch.distributions would do the
same sums in two to three times the time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import accumulate
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from gymnasium import Space, spaces
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from training.errors import UserError
from training.networks.bounds import bounded

Array = NDArray[Any]
Values = TypeVar("Values", Tensor, NDArray[Any])

LOG_STD_RANGE = (-20.0, 2.0)
MASKED_LOGIT = -1e9  # finite, so that 0 * log(0) stays 0 in the entropy


class Head(Protocol):
    """What a kind of action can do. Log-probabilities and entropies are summed over the action: [...]."""

    size: int  # how many outputs of the last layer it takes
    has_log_std: bool  # whether a learned log standard deviation, one for each dimension, follows them

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Array:
        """What makes one action random for each index of the leading dimensions."""
        ...

    def sample(self, params: Array, noise: Array) -> Array: ...

    def mode(self, params: Array) -> Array: ...

    def uniform(self, params: Array, noise: Array) -> Array:
        """An action drawn evenly from the whole space, whatever the policy thinks."""
        ...

    def evaluate(self, params: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """The log-probability of `action` and the entropy."""
        ...


class Categorical:
    """One of n actions; `params` are logits [..., n]."""

    has_log_std = False

    def __init__(self, size: int) -> None:
        self.size = size

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Array:
        """Gumbel noise [..., n]: minus the logarithm of exponential noise."""
        noise: Array = torch.empty(*leading, self.size).exponential_(generator=rng).log_().neg_().numpy()
        return noise

    def sample(self, params: Array, noise: Array) -> Array:
        return np.asarray((params + noise).argmax(-1))  # the Gumbel-max trick

    def mode(self, params: Array) -> Array:
        return np.asarray(params.argmax(-1))

    def uniform(self, params: Array, noise: Array) -> Array:
        return self.sample(np.where(params > MASKED_LOGIT / 2, 0.0, MASKED_LOGIT), noise)

    def evaluate(self, params: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        log_p = params.log_softmax(-1)
        return log_p.gather(-1, action.long().unsqueeze(-1)).squeeze(-1), -(log_p.exp() * log_p).sum(-1)


class MultiCategorical:
    """Independent choices of `sizes [*shape]`; `params` are their logits one after another."""

    has_log_std = False

    def __init__(self, sizes: NDArray[np.integer[Any]]) -> None:
        self.shape = sizes.shape
        self.sizes = [int(size) for size in sizes.flatten()]
        self.size = sum(self.sizes)
        self._parts = [Categorical(size) for size in self.sizes]

    def _shaped(self, actions: list[Array]) -> Array:
        return np.stack(actions, -1).reshape(*actions[0].shape, *self.shape)

    def _each(self, params: Values) -> list[tuple[Categorical, Values]]:
        return list(zip(self._parts, _split(params, self.sizes), strict=True))

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Array:
        return Categorical(self.size).noise(leading, rng)

    def sample(self, params: Array, noise: Array) -> Array:
        drawn = zip(self._each(params), _split(noise, self.sizes), strict=True)
        return self._shaped([part.sample(logits, own_noise) for (part, logits), own_noise in drawn])

    def mode(self, params: Array) -> Array:
        return self._shaped([part.mode(logits) for part, logits in self._each(params)])

    def uniform(self, params: Array, noise: Array) -> Array:
        drawn = zip(self._each(params), _split(noise, self.sizes), strict=True)
        return self._shaped([part.uniform(logits, own_noise) for (part, logits), own_noise in drawn])

    def evaluate(self, params: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        flat = action.reshape(*params.shape[:-1], len(self.sizes))
        return _total([part.evaluate(logits, flat[..., i]) for i, (part, logits) in enumerate(self._each(params))])


class Bernoulli:
    """Independent yes-or-no actions [*shape]; `params` are their logits [..., n]."""

    has_log_std = False

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.size = math.prod(shape)

    def _shaped(self, action: Array) -> Array:
        return action.astype(np.int8).reshape(*action.shape[:-1], *self.shape)

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Array:
        """Logistic [..., n]."""
        uniform = torch.rand(*leading, self.size, generator=rng)
        noise: Array = uniform.logit_(eps=torch.finfo(torch.float32).eps).numpy()
        return noise

    def sample(self, params: Array, noise: Array) -> Array:
        return self._shaped(params + noise > 0)  # with probability sigmoid(params)

    def mode(self, params: Array) -> Array:
        return self._shaped(params > 0)

    def uniform(self, params: Array, noise: Array) -> Array:
        return self._shaped(noise > 0)

    def evaluate(self, params: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        taken = action.reshape(params.shape).to(params.dtype)
        log_prob = -F.binary_cross_entropy_with_logits(params, taken, reduction="none").sum(-1)
        return log_prob, F.binary_cross_entropy_with_logits(params, params.sigmoid(), reduction="none").sum(-1)


class Gaussian:
    """A diagonal Gaussian; `params` are the means and the log standard deviations, [..., 2 n]."""

    has_log_std = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.size = math.prod(shape)

    def _shaped(self, action: Array) -> Array:
        return action.reshape(*action.shape[:-1], *self.shape)

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Array:
        """Standard normal [..., n]."""
        noise: Array = torch.randn(*leading, self.size, generator=rng).numpy()
        return noise

    def sample(self, params: Array, noise: Array) -> Array:
        std = np.exp(params[..., self.size :].clip(*LOG_STD_RANGE))
        return self._shaped(params[..., : self.size] + std * noise)

    def mode(self, params: Array) -> Array:
        return self._shaped(params[..., : self.size])

    def uniform(self, params: Array, noise: Array) -> Array:
        """Uniform in [-1, 1], which is the whole range of a bounded space."""
        # A normal variable's own distribution function makes it uniform.
        return self._shaped(torch.erf(torch.from_numpy(noise) / math.sqrt(2)).numpy())

    def evaluate(self, params: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = params.chunk(2, dim=-1)
        log_std = bounded(log_std, *LOG_STD_RANGE)
        z = (action.reshape(mean.shape) - mean) * (-log_std).exp()
        log_volume = log_std.sum(-1) + 0.5 * self.size * math.log(2 * math.pi)
        return -0.5 * z.square().sum(-1) - log_volume, log_volume + 0.5 * self.size

    def reparametrized(self, params: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The action that `noise` [..., n] makes and its log-probability, as functions of the parameters."""
        mean, log_std = params.chunk(2, dim=-1)
        log_std = bounded(log_std, *LOG_STD_RANGE)
        log_volume = log_std.sum(-1) + 0.5 * self.size * math.log(2 * math.pi)
        return mean + log_std.exp() * noise, -0.5 * noise.square().sum(-1) - log_volume


class SquashedGaussian:
    """A Gaussian pressed through tanh into (-1, 1); `params` as the Gaussian's (Haarnoja et al. 2018, appendix C)."""

    has_log_std = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.gaussian = Gaussian(shape)
        self.size = self.gaussian.size

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Array:
        return self.gaussian.noise(leading, rng)

    def sample(self, params: Array, noise: Array) -> Array:
        return np.tanh(self.gaussian.sample(params, noise))

    def mode(self, params: Array) -> Array:
        return np.tanh(self.gaussian.mode(params))

    def uniform(self, params: Array, noise: Array) -> Array:
        return self.gaussian.uniform(params, noise)

    def evaluate(self, params: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """The entropy is the Gaussian's and the slope at its mean: the exact one has no closed form."""
        edge = 1 - torch.finfo(action.dtype).eps
        mean = params[..., : self.size]
        before = action.clamp(-edge, edge).atanh().reshape(mean.shape)
        log_prob, entropy = self.gaussian.evaluate(params, before)
        return log_prob - _log_slope(before), entropy + _log_slope(mean)

    def reparametrized(self, params: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """As the Gaussian's (Haarnoja et al. 2018, equation 21); the action is flat, [..., n]."""
        before, log_prob = self.gaussian.reparametrized(params, noise)
        return before.tanh(), log_prob - _log_slope(before)


def _log_slope(before: Tensor) -> Tensor:
    """log(1 - tanh(x)^2), summed over the last dimension, in a form that does not round to log(0)."""
    return (2 * (math.log(2) - before - F.softplus(-2 * before))).sum(-1)


def make_head(space: Space[object], *, squash: bool) -> Head:
    """The head for one leaf of an action space."""
    if isinstance(space, spaces.Discrete):
        return Categorical(int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        return MultiCategorical(space.nvec)
    if isinstance(space, spaces.MultiBinary):
        return Bernoulli(space.shape)
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return SquashedGaussian(space.shape) if squash else Gaussian(space.shape)
    raise UserError(
        f"action space {space}: agents act in Discrete, MultiDiscrete, MultiBinary and float Box spaces, "
        "and in Dict and Tuple of them"
    )


class Heads(nn.Module):
    """The heads of every leaf of an action space, acting as one: log-probabilities and entropies are added up.

    `leaves` maps "action" or "action/<name>" to the leaf's space. `params` turns a network's outputs into those of each
    leaf; `action_mask` [..., A] forbids actions where it is False and needs a single Discrete or MultiDiscrete space.
    """

    def __init__(self, leaves: dict[str, Space[object]], *, squash: bool = False, initial_log_std: float = 0.0) -> None:
        super().__init__()
        self.heads = {key: make_head(space, squash=squash) for key, space in leaves.items()}
        self._sizes = [head.size for head in self.heads.values()]
        self.size = sum(self._sizes)
        self._with_log_std = [key for key, head in self.heads.items() if head.has_log_std]
        self.log_std = nn.ParameterDict(
            {key: nn.Parameter(torch.full((self.heads[key].size,), initial_log_std)) for key in self._with_log_std}
        )

    def params(
        self, outputs: Values, action_mask: Values | None = None, log_std: Mapping[str, Values] | None = None
    ) -> dict[str, Values]:
        """From the last layer's outputs [..., size], of any precision, to the float32 parameters of each head.

        `log_std` stands for the module's own where the outputs are NumPy arrays.
        """
        library: Any = torch if isinstance(outputs, Tensor) else np
        if isinstance(outputs, Tensor):
            outputs = outputs.float()
        params = dict(zip(self.heads, _split(outputs, self._sizes), strict=True))
        for key in self._with_log_std:
            own = self.log_std[key] if log_std is None else log_std[key]
            params[key] = library.concatenate((params[key], library.broadcast_to(own, params[key].shape)), -1)
        if action_mask is not None:
            (key,) = params
            params[key] = library.where(action_mask, params[key], MASKED_LOGIT)
        return params

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> dict[str, Array]:
        return {key: head.noise(leading, rng) for key, head in self.heads.items()}

    def sample(self, params: Mapping[str, Array], noise: Mapping[str, Array]) -> dict[str, Array]:
        return {key: head.sample(params[key], noise[key]) for key, head in self.heads.items()}

    def mode(self, params: Mapping[str, Array]) -> dict[str, Array]:
        return {key: head.mode(params[key]) for key, head in self.heads.items()}

    def uniform(self, params: Mapping[str, Array], noise: Mapping[str, Array]) -> dict[str, Array]:
        return {key: head.uniform(params[key], noise[key]) for key, head in self.heads.items()}

    def evaluate(self, params: dict[str, Tensor], action: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The log-probability of `action` and the entropy, [...]."""
        return _total([head.evaluate(params[key], action[key]) for key, head in self.heads.items()])


def _total(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropies of independent parts, added up."""
    log_probs, entropies = zip(*parts, strict=True)
    return reduce(torch.add, log_probs), reduce(torch.add, entropies)


def _split(values: Values, sizes: Sequence[int]) -> list[Values]:
    """[..., sum of sizes] cut along its last dimension."""
    if len(sizes) == 1:
        return [values]
    ends = list(accumulate(sizes))
    return [values[..., end - size : end] for size, end in zip(sizes, ends, strict=True)]
