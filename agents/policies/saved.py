"""Policies that were saved with a run: built again, without the code of its experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch

from agents.policies.policy import NetworkPolicy
from envs.space_json import space_from_json
from training.options import config_from_tree
from training.run.checkpoint import read_state
from training.run.folder import find_checkpoint
from training.saved_classes import find_class
from training.seeding import generator
from training.state import State


def build_policy(saved: State) -> NetworkPolicy:
    """The policy that `NetworkPolicy.save` describes, with other weights. Raises UserError for an unknown kind."""
    name = str(saved["kind"])
    kind, config = find_class(name, "agents", NetworkPolicy, source="the saved policy")  # type: ignore[type-abstract]
    make: Any = kind  # which takes `rng` too
    policy: NetworkPolicy = make(
        space_from_json(saved["observation_space"]),
        space_from_json(saved["action_space"]),
        config_from_tree(saved["config"], config(), source="the saved policy"),
        generator(0, "overwritten by the weights"),
    )
    return policy


def policy_of(agent: State) -> Any:
    """The policy in an agent's state; its weights are the averaged ones where the agent's optimizers keep those."""
    saved = agent["policy"]
    policy = build_policy(saved)
    policy.load_state_dict(saved["weights"])
    own = dict(policy.named_parameters())  # a shared weight has one name here, two among the saved weights
    with torch.no_grad():
        for part in agent.values():
            for key, average in part.get("averages", {}).items() if isinstance(part, dict) else ():
                if key in own:
                    own[key].copy_(average)
    return policy


def load_policy(run: str | Path, which: Literal["best", "last"] = "last") -> Any:
    """The policy of a run, with its normalization and action range inside: a `NetworkPolicy`.

        policy = load_policy("runs/ppo_cartpole/20260101T120000Z-seed1-ab12")
        obs, _ = env.reset()
        action = policy.predict(obs)

    A policy with a memory has instead `predict = policy.predictor()`, anew for every episode.
    Raises a UserError when the folder is not a run or holds no checkpoint.
    """
    return policy_at(find_checkpoint(Path(run), which))


def policy_at(checkpoint: Path) -> Any:
    """The policy in one checkpoint folder; raises UserError when it is damaged."""
    return policy_of(read_state(checkpoint, "agent"))
