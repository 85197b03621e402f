"""Policies: from observations to actions. A policy knows no loss and carries its own normalization and action range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeGuard

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn

from agents.heads import LOG_STD_RANGE, Heads
from envs.actions import ToBounds
from envs.space_json import space_from_json, space_to_json
from envs.spaces import flatten, leaves, unflatten
from envs.vector import Arrays, named
from training.checkpoint import read_state
from training.config import config_from_tree, config_to_tree
from training.core import Batch, State, require
from training.networks import MLP, Encoder, NetworkConfig, Normalizer
from training.numpy_networks import as_numpy, encoder_as_numpy, normalizer_as_numpy
from training.run_folder import find_checkpoint
from training.seeding import generator

Mode = Literal["explore", "greedy", "random"]


class Acting(Protocol):
    """A policy as a function."""

    def __call__(self, step: Arrays, state: Batch, noise: Arrays) -> tuple[Arrays, Batch]:
        """One action for each row of `step` (obs, is_first, action_mask, all [N, ...]), and the next recurrent state.

        `noise` [N, ...] makes the actions random; greedy ones need none. The actions are what the algorithm learns
        from; `env_action` makes of them what the environment takes.
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


@dataclass(frozen=True)
class PolicyConfig:
    """The shape of an actor-critic."""

    network: NetworkConfig = NetworkConfig()
    shared_encoder: bool = True
    """One encoder of images for the actor and the critic; the perceptrons behind it are always separate."""
    squash: bool = False
    """Press continuous actions through tanh into the action range, instead of clipping them to it."""
    rescale_action: bool = True
    """Bounded continuous actions are learned in [-1, 1] and rescaled to the bounds of the environment."""
    normalize_observation: bool = False
    """Running mean and variance of float observations; they move after each update and nowhere else."""
    initial_log_std: float = 0.0
    """Of continuous actions."""

    def __post_init__(self) -> None:
        low, high = LOG_STD_RANGE
        require(low <= self.initial_log_std <= high, "initial_log_std", self.initial_log_std, f"{low:g} to {high:g}")


class ActorCritic(nn.Module):
    """An actor and a critic on the same observations, as separate perceptrons."""

    def __init__(
        self, observation_space: Space[Any], action_space: Space[Any], config: PolicyConfig, rng: torch.Generator
    ) -> None:
        super().__init__()
        self.observation_space, self.action_space, self.config = observation_space, action_space, config
        obs = _leaf_spaces(observation_space, "obs")
        actions = _leaf_spaces(action_space, "action")
        self._to_bounds = {
            key: ToBounds(space, rescale=config.rescale_action)
            for key, space in actions.items()
            if _is_float_box(space)
        }
        self.heads = Heads(actions, squash=config.squash, initial_log_std=config.initial_log_std)
        self.normalizers = nn.ModuleDict(
            {key: Normalizer(*(space.shape or ())) for key, space in obs.items() if _is_float_box(space)}
            if config.normalize_observation
            else {}
        )
        self.actor_encoder = Encoder(obs, config.network, rng)
        self.critic_encoder = self.actor_encoder if config.shared_encoder else Encoder(obs, config.network, rng)
        # A small last layer makes the first policy nearly uniform (Andrychowicz et al. 2021, section 3.2).
        features = self.actor_encoder.out_features
        self.actor = MLP(features, config.network, rng, outputs=self.heads.size, gain=0.01)
        self.critic = MLP(features, config.network, rng, outputs=1, gain=1.0)

    @property
    def device(self) -> torch.device:
        return self.critic[-1].weight.device  # type: ignore[return-value]  # the last layer is linear

    def acting(self, mode: Mode, rows: int) -> Acting:
        params_of = self._params_in_numpy(rows) or self._params_in_torch
        heads = self.heads
        draw = heads.sample if mode == "explore" else heads.uniform

        def act(step: Arrays, state: Batch, noise: Arrays) -> tuple[Arrays, Batch]:
            params = params_of(step)
            return heads.mode(params) if mode == "greedy" else draw(params, noise), state

        return act

    @torch.no_grad()
    def _params_in_torch(self, step: Arrays) -> Arrays:
        """What the heads choose actions by, from the network's modules: on a GPU, for large networks and for images."""
        seen = self._normalized({key: torch.from_numpy(value).to(self.device) for key, value in step.items()})
        params = self.heads.params(self.actor(self.actor_encoder(seen)), seen.get("action_mask"))
        return {key: value.cpu().numpy() for key, value in params.items()}

    def _params_in_numpy(self, rows: int) -> Callable[[Arrays], Arrays] | None:
        """The same from NumPy on the present weights; None where torch does it better."""
        if self.device.type != "cpu":
            return None
        encoder, actor = encoder_as_numpy(self.actor_encoder, rows), as_numpy(self.actor, rows)
        if encoder is None or actor is None:
            return None
        normalizers = [(key, normalizer_as_numpy(normalizer)) for key, normalizer in self.normalizers.items()]
        heads = self.heads
        log_std = {key: value.detach().numpy() for key, value in heads.log_std.items()}

        def params_of(step: Arrays) -> Arrays:
            if normalizers:
                step = step | {key: normalize(step[key]) for key, normalize in normalizers}
            return heads.params(actor(encoder(step)), step.get("action_mask"), log_std)

        return params_of

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays:
        return self.heads.noise(leading, rng)

    def env_action(self, action: Arrays) -> Arrays:
        return action | {key: to_bounds(action[key]) for key, to_bounds in self._to_bounds.items()}

    def evaluate(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probability of `action`, entropy and value of each sample, all [...], with their gradients."""
        obs = self._normalized(batch)
        features = self.actor_encoder(obs)
        params = self.heads.params(self.actor(features), batch.get("action_mask"))
        value = self.critic(features if self.config.shared_encoder else self.critic_encoder(obs)).squeeze(-1).float()
        log_prob, entropy = self.heads.evaluate(params, batch)
        return log_prob, entropy, value

    def log_prob(self, batch: Batch) -> Tensor:
        """Log-probability of `action` [...]."""
        outputs = self.actor(self.actor_encoder(self._normalized(batch)))
        log_prob, _ = self.heads.evaluate(self.heads.params(outputs, batch.get("action_mask")), batch)
        return log_prob

    def value(self, batch: Batch) -> Tensor:
        """The value of each observation [...]."""
        value: Tensor = self.critic(self.critic_encoder(self._normalized(batch))).squeeze(-1).float()
        return value

    def update_normalizers(self, batch: Batch) -> None:
        """Takes the observations into the running statistics, once they have been learned from."""
        for key, normalizer in self.normalizers.items():
            assert isinstance(normalizer, Normalizer)
            normalizer.update(batch[key])

    def _normalized(self, batch: Batch) -> Batch:
        return batch | {key: normalizer(batch[key]) for key, normalizer in self.normalizers.items()}

    def predict(self, obs: Any, *, greedy: bool = True, action_mask: Any = None) -> Any:
        """The environment's action for one of its observations, as `env.reset()` and `env.step()` give and take them.

        Predictions that are not greedy are drawn with torch's global generator.
        """
        step = {named("obs", name): value[None] for name, value in flatten(leaves(self.observation_space), obs).items()}
        if action_mask is not None:
            step["action_mask"] = np.asarray(action_mask, bool)[None]
        act = self.acting("greedy" if greedy else "explore", rows=1)
        action, _ = act(step, {}, {} if greedy else self.noise((1,), torch.default_generator))
        actions, parts = self.env_action(action), leaves(self.action_space)
        return unflatten(
            self.action_space, parts, {leaf.name: actions[named("action", leaf.name)][0] for leaf in parts}
        )

    def save(self) -> State:
        """All that is needed to build the policy again, without its experiment's code."""
        return {
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "config": config_to_tree(self.config),
            "weights": self.state_dict(),
        }


def policy_of(agent: State) -> ActorCritic:
    """The policy in an agent's state; its weights are the averaged ones where the agent's optimizers keep those."""
    saved = agent["policy"]
    policy = ActorCritic(
        space_from_json(saved["observation_space"]),
        space_from_json(saved["action_space"]),
        config_from_tree(saved["config"], PolicyConfig(), source="the saved policy"),
        generator(0, "overwritten by the weights"),
    )
    policy.load_state_dict(saved["weights"])
    own = dict(policy.named_parameters())  # a shared weight has one name here, two among the saved weights
    with torch.no_grad():
        for part in agent.values():
            for key, average in part.get("averages", {}).items() if isinstance(part, dict) else ():
                own[key].copy_(average)
    return policy


def load_policy(run: str | Path, which: Literal["best", "last"] = "last") -> ActorCritic:
    """The policy of a run, with its normalization and action range inside.

        policy = load_policy("runs/ppo_cartpole/20260101T120000Z-seed1-ab12")
        obs, _ = env.reset()
        action = policy.predict(obs)

    Raises a UserError when the folder is not a run or holds no checkpoint.
    """
    return policy_of(read_state(find_checkpoint(Path(run), which), "agent"))


def _leaf_spaces(space: Space[Any], prefix: str) -> dict[str, Space[Any]]:
    """The leaves of a space under the keys of a batch. Discrete values count from 0 there."""
    return {named(prefix, leaf.name): _from_zero(leaf.space) for leaf in leaves(space)}


def _from_zero(space: Space[Any]) -> Space[Any]:
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        return spaces.MultiDiscrete(space.nvec)
    return space


def _is_float_box(space: Space[Any]) -> TypeGuard[spaces.Box]:
    return isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)
