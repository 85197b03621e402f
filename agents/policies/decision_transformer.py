"""The policy of the Decision Transformer: the next action from the returns to go, observations and actions so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor

from agents.policies.heads import LOG_STD_RANGE, Heads
from agents.policies.policy import Acting, Mode, NetworkPolicy
from envs.vectors.vector import Arrays
from training.core import Batch
from training.errors import require
from training.networks import Encoder, NetworkConfig
from training.networks.transformer import Transformer, TransformerConfig, normal_embedding, normal_linear


@dataclass(frozen=True)
class DecisionTransformerPolicyConfig:
    """The shape of a Decision Transformer, and what it is asked for."""

    transformer: TransformerConfig = TransformerConfig()
    cnn: Literal["nature", "small"] = "nature"
    """Of observations that are images."""
    module: str | None = None
    """An encoder of observations of your own instead of ours, as in NetworkConfig."""
    module_kwargs: dict[str, Any] = field(default_factory=dict)
    """Given to its constructor after the observation spaces."""
    context: int = 20
    """Steps that it looks back on, the present one included."""
    target_return: float = 0.0
    """The return of an episode that it is asked for when it acts: to be set, near the best of the data."""
    return_scale: float = 1000.0
    """Returns are divided by it."""
    max_episode_steps: int = 1000
    """Steps of an episode that are told apart; those after them count as the last one."""
    rescale_action: bool = True
    """Bounded continuous actions are learned in [-1, 1] and rescaled to the bounds of the environment."""
    normalize_observation: bool = True
    """By the mean and variance of the dataset."""
    initial_log_std: float = 0.0
    """Of continuous actions."""

    def __post_init__(self) -> None:
        low, high = LOG_STD_RANGE
        require(low <= self.initial_log_std <= high, "initial_log_std", self.initial_log_std, f"{low:g} to {high:g}")
        object.__setattr__(self, "module", self.network.module)  # a class has become its import path
        require(self.context >= 1, "context", self.context, "at least 1 step")
        require(isfinite(self.target_return), "target_return", self.target_return, "a finite number")
        require(self.return_scale > 0, "return_scale", self.return_scale, "a number above 0")
        require(self.max_episode_steps >= 1, "max_episode_steps", self.max_episode_steps, "at least 1")

    @property
    def network(self) -> NetworkConfig:
        """What encodes observations."""
        return NetworkConfig(cnn=self.cnn, module=self.module, module_kwargs=self.module_kwargs)


class DecisionTransformerPolicy(NetworkPolicy):
    """Three tokens for each step, return to go, observation and action, each with the step of the episode added.

    Its memory of each environment is the newest `context` steps.
    """

    has_memory: ClassVar[bool] = True

    def __init__(
        self,
        observation_space: Space[object],
        action_space: Space[object],
        config: DecisionTransformerPolicyConfig,
        rng: torch.Generator,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            config,
            rescale_action=config.rescale_action,
            normalize_observation=config.normalize_observation,
        )
        width = config.transformer.width
        self.heads = Heads(self.action_spaces, initial_log_std=config.initial_log_std)
        self.obs_encoder = Encoder(self.obs_spaces, config.network, rng)
        self.action_encoder = Encoder(self.action_spaces, NetworkConfig(cnn=config.cnn), rng)
        self.embed_obs = normal_linear(self.obs_encoder.out_features, width, rng)
        self.embed_action = normal_linear(self.action_encoder.out_features, width, rng)
        self.embed_return = normal_linear(1, width, rng)
        self.embed_step = normal_embedding(config.max_episode_steps, width, rng)
        self.norm = torch.nn.LayerNorm(width)
        self.transformer = Transformer(config.transformer, rng)
        self.output = normal_linear(width, self.heads.size, rng)

    def outputs(self, batch: Batch) -> Tensor:
        """The heads' outputs for every step of sequences [B, K, ...]: [B, K, size].

        `batch` holds observations, actions, `return_to_go` (scaled) and `episode_step`, each [B, K, ...]. The action of
        a step is seen from the step after it on.
        """
        step = self.embed_step(batch["episode_step"].clamp(max=self.config.max_episode_steps - 1))
        tokens = torch.stack(
            [
                self.embed_return(batch["return_to_go"].unsqueeze(-1)) + step,
                self.embed_obs(self.obs_encoder(self.normalized(batch))) + step,
                self.embed_action(self.action_encoder(batch)) + step,
            ],
            dim=2,
        )
        seen = self.transformer(self.norm(tokens.flatten(1, 2)))
        outputs: Tensor = self.output(seen[:, 1::3])  # what follows an observation is its action
        return outputs

    def log_prob(self, batch: Batch) -> Tensor:
        """Log-probability of `action` [B, K]; `batch` as for `outputs`."""
        log_prob, _ = self.heads.evaluate(self.heads.params(self.outputs(batch)), batch)
        return log_prob

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays:
        return self.heads.noise(leading, rng)

    def acting(self, mode: Mode, rows: int) -> Acting:
        heads, everyone = self.heads, np.arange(rows)
        log_std = {key: value.detach().cpu().numpy() for key, value in heads.log_std.items()}
        draw = heads.sample if mode == "explore" else heads.uniform

        @torch.no_grad()
        def act(step: Arrays, state: Arrays, noise: Arrays) -> tuple[Arrays, Arrays]:
            memory = self._remember(step, state)
            now = memory["length"] - 1
            batch = {key: torch.from_numpy(value).to(self.device) for key, value in memory.items()}
            outputs = self.outputs(batch)[everyone, torch.from_numpy(now)].float().cpu().numpy()
            params = heads.params(outputs, step.get("action_mask"), log_std)
            action = heads.mode(params) if mode == "greedy" else draw(params, noise)
            done = self.learned_action(self.env_action(action))  # clipped to the bounds, as the data's are
            for key, value in done.items():
                memory[key][everyone, now] = value
            return action, memory

        return act

    def _remember(self, step: Arrays, state: Arrays) -> Arrays:
        """The memory with the present step in it, whose action is still to come.

        In `length` [N] it has how many of its steps [N, context] are filled, from the first on; what is behind them is
        not seen by the present one.
        """
        rows = len(next(iter(step.values())))
        first = step["is_first"] if state else np.ones(rows, bool)
        memory = {key: value.copy() for key, value in state.items()} or self._blank(step, rows)
        memory["length"][first] = 0
        full = memory["length"] == self.config.context
        for key, value in memory.items():
            if key != "length":
                value[full, :-1] = value[full, 1:]
        memory["length"][full] -= 1
        everyone, now = np.arange(rows), memory["length"]
        before = np.maximum(now - 1, 0)
        reward = step.get("reward", np.zeros(rows)) / self.config.return_scale
        left = memory["return_to_go"][everyone, before] - reward
        target = self.config.target_return / self.config.return_scale
        memory["return_to_go"][everyone, now] = np.where(first, target, left)
        steps = memory["episode_step"][everyone, before] + 1
        memory["episode_step"][everyone, now] = np.where(first, 0, steps)
        for key in self.obs_spaces:
            memory[key][everyone, now] = step[key]
        return memory | {"length": now + 1}

    def _blank(self, step: Arrays, rows: int) -> Arrays:
        context = self.config.context
        seen = {key: np.zeros((rows, context, *step[key].shape[1:]), step[key].dtype) for key in self.obs_spaces}
        done = {
            key: np.zeros((rows, context, *(space.shape or ())), np.float32 if key in self._to_bounds else np.int64)
            for key, space in self.action_spaces.items()
        }
        return {
            **seen,
            **done,
            "return_to_go": np.zeros((rows, context), np.float32),
            "episode_step": np.zeros((rows, context), np.int64),
            "length": np.zeros(rows, np.int64),
        }
