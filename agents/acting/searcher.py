"""A policy that looks ahead in a game whose rules are known: it acts by a tree search, not by its network alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaincinv

from agents.acting.tree_search import Float, Noise, Positions, Reached, SearchConfig, search
from agents.policies.actor_critic import ActorCritic
from agents.policies.policy import Acting, Mode
from envs.vectors.batched import Dynamics
from envs.vectors.vector import Arrays

StateOf = Callable[[NDArray[Any]], Float]
"""Observations [N, ...] -> states [S, N] of the rules, for a game of which everything is seen."""


class Searcher:
    """`policy` with a search before each action; beside it stands the `search_policy` [N, A] that AlphaZero learns."""

    def __init__(self, policy: ActorCritic, rules: Dynamics, state_of: StateOf, config: SearchConfig) -> None:
        self._policy, self._rules, self._state_of, self._config = policy, rules, state_of, config

    def acting(self, mode: Mode, rows: int) -> Acting:
        policy = self._policy
        logits_of = policy.outputs_of(rows, policy.actor_encoder, policy.actor)
        value_of = policy.outputs_of(rows, policy.critic_encoder, policy.critic)
        rules, config = self._rules, self._config
        assert rules.legal is not None, "a game tells its legal moves"
        legal = rules.legal

        def looked_at(state: Float) -> Positions:
            seen = {"obs": rules.observe(state)}
            logits = np.where(legal(state), logits_of(seen).astype(np.float64), -np.inf)
            return Positions(state, logits, np.clip(value_of(seen)[:, 0].astype(np.float64), -1.0, 1.0))

        def expand(state: Float, action: NDArray[np.int64]) -> Reached:
            after, reward, is_over = rules.transition(state, action)
            return Reached(looked_at(after), reward, is_over)

        def act(step: Arrays, state: Arrays, noise: Arrays) -> tuple[Arrays, Arrays]:
            root = looked_at(self._state_of(step["obs"]))
            drawn = None if mode == "greedy" else _noise_of(noise, np.isfinite(root.logits), config)
            found = search(root, expand, config, alternates=rules.alternates, noise=drawn)
            return {"action": found.action, "search_policy": found.policy.astype(np.float32)}, state

        return act

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays:
        noise = self._policy.noise(leading, rng)
        if self._config.root == "puct":
            actions = noise["action"].shape[-1]
            noise["root"] = torch.rand(*leading, actions, generator=rng, dtype=torch.float64).numpy()
        return noise

    def env_action(self, action: Arrays) -> Arrays:
        return {"action": action["action"]}


def _noise_of(noise: Arrays, allowed: NDArray[np.bool_], config: SearchConfig) -> Noise:
    """Uniform noise becomes a Dirichlet distribution over the moves that are allowed: shares of Gamma variables."""
    gumbel = noise["action"].astype(np.float64)
    if "root" not in noise:
        return Noise(gumbel)
    gamma = np.where(allowed, gammaincinv(config.dirichlet_alpha, noise["root"]), 0.0)
    return Noise(gumbel, gamma / np.maximum(gamma.sum(1, keepdims=True), 1e-300))
