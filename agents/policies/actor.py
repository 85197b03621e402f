"""The policy of actor-critic algorithms of replay and of data: an actor only; the algorithm owns the critics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import Space, spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.policies.heads import LOG_STD_RANGE, MASKED_LOGIT, Categorical, SquashedGaussian
from agents.policies.policy import Acting, Mode, NetworkPolicy, is_float_box
from envs.vectors.vector import Arrays
from training.core import Batch
from training.errors import UserError, require
from training.networks import MLP, Encoder, NetworkConfig
from training.networks.bounds import bounded
from training.networks.initialization import linear

STATE_DEPENDENT_MEAN_RANGE = (-2.0, 2.0)
"""Of gSDE's means before tanh, as in Stable-Baselines3 (`clip_mean=2.0`): beyond these tanh hides the noise."""


@dataclass(frozen=True)
class ActorConfig:
    """The shape of an actor, and how it explores."""

    network: NetworkConfig = NetworkConfig(hidden=(256, 256), activation="relu")
    normalize_observation: bool = False
    """By the running mean and variance of the warm-up's observations and of those that are learned from, as often as
    they are; from a dataset once, by those of all of it."""
    renormalized: bool = False
    """Batch renormalization before every layer, for CrossQ alone."""
    distribution: Literal["gaussian", "state_dependent", "deterministic"] = "gaussian"
    """Of continuous actions, pressed through tanh into their range: a Gaussian whose deviations the network gives; one
    whose noise is a function of the observation for some steps (gSDE, Raffin et al. 2021,
    https://arxiv.org/abs/2005.05719); or the action itself, to which noise is added."""
    state_dependent_log_std: float = -3.0
    """The initial one of gSDE's weights."""
    state_dependent_env_steps: int = 64
    """After how many steps of an environment, and at each episode's beginning, gSDE draws another function."""
    noise_std: float = 0.1
    """Of the noise that is added to deterministic actions, which lie in [-1, 1]."""
    noise_kind: Literal["normal", "ornstein_uhlenbeck"] = "normal"
    """Ornstein-Uhlenbeck: noise that remembers, as in Lillicrap et al. 2016."""
    noise_return_rate: float = 0.15
    """The fraction of Ornstein-Uhlenbeck noise that is gone after a step: theta."""

    def __post_init__(self) -> None:
        low, high = LOG_STD_RANGE
        start = self.state_dependent_log_std
        require(low <= start <= high, "state_dependent_log_std", start, f"{low:g} to {high:g}")
        steps = self.state_dependent_env_steps
        require(steps >= 1, "state_dependent_env_steps", steps, "at least 1")
        require(self.noise_std >= 0, "noise_std", self.noise_std, "a number of at least 0")
        rate = self.noise_return_rate
        require(0 < rate <= 1, "noise_return_rate", rate, "a number above 0, up to 1")


class Actor(NetworkPolicy):
    """Chooses continuous actions in [-1, 1], which are rescaled to their bounds, or discrete ones."""

    def __init__(
        self, observation_space: Space[Any], action_space: Space[Any], config: ActorConfig, rng: torch.Generator
    ) -> None:
        super().__init__(observation_space, action_space, config, normalize_observation=config.normalize_observation)
        self.head = _head(action_space)
        self.continuous = isinstance(self.head, SquashedGaussian)
        self.deterministic = self.continuous and config.distribution == "deterministic"
        self._state_dependent = self.continuous and config.distribution == "state_dependent"
        network_gives_std = self.continuous and config.distribution == "gaussian"
        self.encoder = Encoder(self.obs_spaces, config.network, rng)
        # With an orthogonal start, as that of the on-policy algorithms, SAC learned later or not at all on some seeds.
        self.trunk = MLP(self.encoder.out_features, config.network, rng, gain=None, renormalized=config.renormalized)
        self.features = self.trunk.out_features
        self.last = linear(self.features, self.head.size * (1 + network_gives_std), gain=None, generator=rng)
        if self._state_dependent:
            initial = torch.full((self.features, self.head.size), config.state_dependent_log_std)
            self.log_std = nn.Parameter(initial)

    def params(self, batch: Batch, prefix: str = "") -> Tensor:
        """What the head chooses by, on `obs` or, with a prefix, on `next_obs`.

        [B, size]; of a Gaussian and of gSDE [B, 2 size], means and log standard deviations.
        """
        obs = self.seen(batch, prefix)
        features = self.trunk(self.encoder(obs))
        outputs: Tensor = self.last(features).float()
        if self._state_dependent:
            outputs = bounded(outputs, *STATE_DEPENDENT_MEAN_RANGE)
            # The deviation is not to be learned through the features (Raffin et al. 2021, section 3).
            variance = features.detach().square() @ bounded(self.log_std, *LOG_STD_RANGE).exp().square()
            outputs = torch.cat([outputs, 0.5 * (variance + 1e-6).log()], -1)
        if f"{prefix}action_mask" in batch:
            outputs = outputs.masked_fill(~batch[f"{prefix}action_mask"], MASKED_LOGIT)
        return outputs

    def action(self, batch: Batch) -> Tensor:
        """The deterministic action [B, n], flat."""
        return self.action_of(self.seen(batch))

    def action_of(self, obs: Batch) -> Tensor:
        """The same of observations that are normalized already."""
        action: Tensor = self.last(self.trunk(self.encoder(obs))).float()[..., : self.head.size].tanh()
        return action

    def reparametrized(self, batch: Batch, noise: Tensor, prefix: str = "") -> tuple[Tensor, Tensor]:
        """The action [B, n] that `noise` [B, n] makes, flat, and its log-probability [B], with their gradients."""
        assert isinstance(self.head, SquashedGaussian)
        return self.head.reparametrized(self.params(batch, prefix), noise)

    def log_prob(self, batch: Batch) -> Tensor:
        """Log-probability of `action` [B]."""
        return self.head.evaluate(self.params(batch), batch["action"])[0]

    def acting(self, mode: Mode, rows: int) -> Acting:
        features_of = self.outputs_of(rows, self.encoder, self.trunk)
        weight, bias = self.last.weight.detach().cpu().numpy().T, self.last.bias.detach().cpu().numpy()

        def act(step: Arrays, state: Arrays, noise: Arrays) -> tuple[Arrays, Arrays]:
            features = features_of(step)
            params = features @ weight + bias
            if self._state_dependent:
                params = params.clip(*STATE_DEPENDENT_MEAN_RANGE)
            if "action_mask" in step:
                params = np.where(step["action_mask"], params, np.float32(MASKED_LOGIT))
            if mode == "random":
                return {"action": self.head.uniform(params, noise["action"])}, state
            if mode == "greedy":
                return {"action": self.head.mode(params)}, state
            if self.deterministic:
                added, state = self._added_noise(step, state, noise)
                return {"action": self._shaped(np.clip(np.tanh(params) + added, -1.0, 1.0))}, state
            if self._state_dependent:
                added, state = self._state_dependent_noise(features, step, state, noise)
                return {"action": self._shaped(np.tanh(params + added))}, state
            return {"action": self.head.sample(params, noise["action"])}, state

        return act

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays:
        noise = {"action": self.head.noise(leading, rng)}
        if self._state_dependent:
            noise["function"] = torch.randn(*leading, self.features, self.head.size, generator=rng).numpy()
        return noise

    def _added_noise(self, step: Arrays, state: Arrays, noise: Arrays) -> tuple[NDArray[Any], Arrays]:
        drawn = np.float32(self.config.noise_std) * noise["action"]
        if self.config.noise_kind == "normal":
            return drawn, state
        left = np.float32(1 - self.config.noise_return_rate) * state.get("noise", np.zeros_like(drawn))
        remembered = np.where(step["is_first"][:, None], np.float32(0), left) + drawn
        return remembered, {"noise": remembered}

    def _state_dependent_noise(
        self, features: NDArray[Any], step: Arrays, state: Arrays, noise: Arrays
    ) -> tuple[NDArray[Any], Arrays]:
        """gSDE: noise [N, n] as a linear function of the features, which stays the same for some steps."""
        age = state.get("age", np.zeros(len(features), np.int64))
        renews = step["is_first"] | (age % self.config.state_dependent_env_steps == 0)
        age = np.where(step["is_first"], 0, age)
        function = np.where(renews[:, None, None], noise["function"], state.get("function", noise["function"]))
        std = self.log_std.detach().cpu().clamp(*LOG_STD_RANGE).exp().numpy()
        return (features[:, None] @ (std * function))[:, 0], {"age": age + 1, "function": function}

    def _shaped(self, action: NDArray[Any]) -> NDArray[Any]:
        return action.reshape(-1, *(self.action_space.shape or ()))


def require_continuous(
    policy: Actor, algorithm: str, distributions: tuple[str, ...], *, renormalized: bool = False
) -> None:
    """Raises a UserError unless actions are continuous, of one of these distributions, and layers as they should be."""
    if not policy.continuous:
        raise UserError(f"action space {policy.action_space}: {algorithm} takes a bounded Box of floats")
    given, takes = policy.config.distribution, " or ".join(map(repr, distributions))
    require(given in distributions, "policy.distribution", given, f"{takes} with {algorithm}")
    layers = policy.config.renormalized
    require(layers == renormalized, "policy.renormalized", layers, f"{renormalized} with {algorithm}")


def _head(space: Space[Any]) -> Categorical | SquashedGaussian:
    if isinstance(space, spaces.Discrete):
        return Categorical(int(space.n))
    if is_float_box(space) and space.shape and space.is_bounded("both"):
        return SquashedGaussian(space.shape)
    takes = "Discrete or a Box of floats, of at least one dimension, with bounds on both sides"
    raise UserError(f"action space {space}: an actor takes {takes}")
