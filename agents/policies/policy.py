"""Policies: from observations to actions. A policy knows no loss and carries its own normalization and action range."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import chain
from typing import Any, ClassVar, Literal, Protocol, TypeGuard

import numpy as np
import torch
from gymnasium import Space, spaces
from numpy.typing import NDArray
from torch import nn

from envs.actions import ToBounds
from envs.masks import mask_array
from envs.space_json import space_to_json
from envs.spaces import Leaf, flatten, from_zero, leaves, unflatten
from envs.vectors.vector import Arrays, named
from training.core import Batch
from training.errors import UserError
from training.networks import Encoder, Normalizer
from training.networks.in_numpy import as_numpy, encoder_as_numpy, normalizer_as_numpy
from training.options import config_to_tree
from training.state import NetworkAndParts, State

Mode = Literal["explore", "greedy", "random"]


class Acting(Protocol):
    """A policy as a function."""

    def __call__(self, step: Arrays, state: Arrays, noise: Arrays) -> tuple[Arrays, Arrays]:
        """One action for each row of `step` (obs, is_first, action_mask, all [N, ...]), and the next state.

        Where it is measured or recorded, `step` also has the `reward` [N] of the step before; it means nothing on a
        first step.

        The state of a policy with a memory starts as {} and is named [N, ...] arrays from then on, new ones in each
        step; rows at which an episode begins are taken for zero, as all are in {}. `noise` [N, ...] makes the actions
        random; greedy ones need none. The actions are what the algorithm learns from; `env_action` makes of them what
        the environment takes.
        """
        ...


class Policy(Protocol):
    """Maps observations to actions."""

    def acting(self, mode: Mode, rows: int) -> Acting:
        """How the policy acts with the weights that it has now, for `rows` environments at a time."""
        ...

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays:
        """The noise of one action for each index of the leading dimensions, such as [T, N]."""
        ...

    def env_action(self, action: Arrays) -> Arrays:
        """The environment's actions [N, ...]: rescaled and clipped to the bounds of its space."""
        ...


class NetworkPolicy(nn.Module, ABC):
    """What every policy of networks shares: spaces, normalization, action range, saving, and acting one step alone.

    Args:
        observation_space: of one environment; `obs_spaces` are its leaves under the keys of a batch.
        action_space: of one environment; `action_spaces` likewise.
        config: the policy's own config dataclass, which is saved with it.
        rescale_action: bounded continuous actions are learned in [-1, 1].
        normalize_observation: running mean and variance of float observations.
    """

    has_memory: ClassVar[bool] = False
    """Whether what it does depends on what it has seen of the episode before."""
    has_kernels = False
    """Whether its rollouts and gradient steps are made in C++ where they can be. It belongs to a run and is not saved:
    the last bits of actions differ from those in NumPy, in which every policy that is loaded acts."""

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        config: Any,
        *,
        rescale_action: bool = True,
        normalize_observation: bool = False,
    ) -> None:
        super().__init__()
        self.observation_space, self.action_space, self.config = observation_space, action_space, config
        self._obs_leaves, self._action_leaves = leaves(observation_space), leaves(action_space)
        self.obs_spaces = _spaces_of(self._obs_leaves, "obs")
        self.action_spaces = _spaces_of(self._action_leaves, "action")
        self._to_bounds = {
            key: ToBounds(space, rescale=rescale_action)
            for key, space in self.action_spaces.items()
            if is_float_box(space)
        }
        normalized = {key: space for key, space in self.obs_spaces.items() if is_float_box(space)}
        self.normalizers = nn.ModuleDict(
            {key: Normalizer(*space.shape) for key, space in normalized.items()} if normalize_observation else {}
        )

    @abstractmethod
    def acting(self, mode: Mode, rows: int) -> Acting: ...

    @abstractmethod
    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays: ...

    def to_bounds(self, key: str) -> ToBounds:
        """From the policy's actions of this name to the environment's."""
        return self._to_bounds[key]

    @property
    def device(self) -> torch.device:
        return next(chain(self.parameters(), self.buffers())).device

    def env_action(self, action: Arrays) -> Arrays:
        return action | {key: to_bounds(action[key]) for key, to_bounds in self._to_bounds.items()}

    def learned_action(self, action: Arrays) -> Arrays:
        """The inverse of `env_action`: what the policy learns from where a dataset holds the environment's actions."""
        return action | {key: to_bounds.inverse(action[key]) for key, to_bounds in self._to_bounds.items()}

    def outputs_of(self, rows: int, encoder: Encoder, network: nn.Module) -> Callable[[Arrays], NDArray[Any]]:
        """`network(encoder(obs))` with the present weights, from arrays to an array.

        It is computed in NumPy, or by torch's modules where those do it better: for large networks and for images.
        """
        known = encoder_as_numpy(encoder, rows), as_numpy(network, rows)
        if known[0] is None or known[1] is None:
            return lambda step: self._outputs_in_torch(step, encoder, network)
        encode, compute, normalize = known[0], known[1], self.normalization_of_arrays()
        return lambda step: compute(encode(normalize(step)))

    @torch.no_grad()
    def _outputs_in_torch(self, step: Arrays, encoder: Encoder, network: nn.Module) -> NDArray[Any]:
        seen = self.normalized(
            {key: torch.from_numpy(step[key]).to(self.device) for key in self.obs_spaces if key in step}
        )
        outputs: NDArray[Any] = network(encoder(seen)).float().cpu().numpy()
        return outputs

    def normalization_of_arrays(self) -> Callable[[Arrays], Arrays]:
        """`normalized` for arrays, with the statistics that it has now."""
        normalizers = [(key, normalizer_as_numpy(normalizer)) for key, normalizer in self.normalizers.items()]
        if not normalizers:
            return lambda step: step
        return lambda step: step | {key: normalize(step[key]) for key, normalize in normalizers if key in step}

    def normalized(self, batch: Batch) -> Batch:
        """The batch with its observations normalized; what only a critic sees may be missing."""
        return batch | {key: normalizer(batch[key]) for key, normalizer in self.normalizers.items() if key in batch}

    def seen(self, batch: Batch, prefix: str = "") -> Batch:
        """The normalized observations of `obs` or, with a prefix, of `next_obs`, under the names of the former."""
        return self.normalized({key: batch[prefix + key] for key in self.obs_spaces})

    @property
    def lacks_statistics(self) -> bool:
        """Whether it is to normalize observations, and has seen none yet."""
        return any(float(normalizer.count) == 0 for normalizer in self.normalizers.values())  # type: ignore[arg-type]

    def update_normalizers(self, batch: Batch) -> None:
        """Takes the observations into the running statistics, once they have been learned from."""
        for key, normalizer in self.normalizers.items():
            assert isinstance(normalizer, Normalizer)
            normalizer.update(batch[key])

    def predict(self, obs: Any, *, greedy: bool = True, action_mask: Any = None) -> Any:
        """The environment's action for one of its observations, as `env.reset()` and `env.step()` give and take them.

        `action_mask` is what the environment reports with it (see `envs.masks`).

        Predictions that are not greedy are drawn with torch's global generator. Raises a UserError for a policy with
        a memory, whose action depends on more than one observation: see `predictor`.
        """
        if self.has_memory:
            raise UserError(f"{type(self).__name__}.predict: it has a memory; use predict = policy.predictor()")
        return self.predictor(greedy=greedy)(obs, action_mask=action_mask)

    def predictor(self, *, greedy: bool = True) -> Callable[..., Any]:
        """`predict(obs, *, action_mask=None, reward=0.0)` for one episode, called with its observations in turn.

        `reward` is that of the step that led to the observation; only a policy that is asked for a return heeds it.
        It acts with the weights that the policy has now and keeps what a memory remembers; another episode needs
        another predictor.
        """
        act = self.acting("greedy" if greedy else "explore", rows=1)
        state: Arrays = {}
        is_first = True

        def predict(obs: Any, *, action_mask: Any = None, reward: float = 0.0) -> Any:
            nonlocal state, is_first
            step = self.step_of(obs, is_first=is_first, action_mask=action_mask, reward=reward)
            action, state = act(step, state, {} if greedy else self.noise((1,), torch.default_generator))
            is_first = False
            return self.only_env_action(action)

        return predict

    def step_of(self, obs: Any, *, is_first: bool, action_mask: Any = None, reward: float = 0.0) -> Arrays:
        """One of the environment's observations as a step [1, ...] for `acting`."""
        step = {named("obs", name): value[None] for name, value in flatten(self._obs_leaves, obs).items()}
        step |= {"is_first": np.array([is_first]), "reward": np.array([reward])}
        if action_mask is not None:
            step["action_mask"] = mask_array(self.action_space, action_mask)[None]
        return step

    def only_env_action(self, action: Arrays) -> Any:
        """The environment's action for the one row of an action [1, ...], as `env.step` takes it."""
        parts, actions = self._action_leaves, self.env_action(action)
        rows = {leaf.name: actions[named("action", leaf.name)][0] for leaf in parts}
        return unflatten(self.action_space, parts, rows)

    def save(self) -> State:
        """All that is needed to build the policy again, without its experiment's code."""
        return {
            "kind": type(self).__name__,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "config": config_to_tree(self.config),
            "weights": self.state_dict(),
        }


class PolicyAndParts(NetworkAndParts):
    """The base of algorithms that learn a `policy`: it is saved together with their `parts`."""

    network_name = "policy"


def _spaces_of(parts: tuple[Leaf, ...], prefix: str) -> dict[str, Space[Any]]:
    """The spaces of leaves under the keys of a batch. Discrete values count from 0 there."""
    return {named(prefix, leaf.name): from_zero(leaf.space) for leaf in parts}


def is_float_box(space: Space[Any]) -> TypeGuard[spaces.Box]:
    """Whether a space is of continuous numbers."""
    return isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)
