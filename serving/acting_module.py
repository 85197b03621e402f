"""A policy as one module of torch: from the environment's observations to the environment's actions, the greedy ones.

It computes what `policy.predictor()` does, in torch alone, so that it can be exported: normalization, network, choice,
rescaling and clipping to the bounds.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor, nn

from agents.policies.actor import Actor
from agents.policies.actor_critic import ActorCritic
from agents.policies.heads import Bernoulli, Categorical, Gaussian, Head, MultiCategorical
from agents.policies.policy import NetworkPolicy, is_float_box
from agents.policies.q_network import QNetwork
from agents.policies.recurrent_actor_critic import RecurrentActorCritic
from envs.masks import mask_parts
from envs.spaces import Leaf, leaves
from envs.vectors.vector import named
from serving.signature import Signature, Value
from training.core import Batch
from training.errors import UserError, require
from training.networks import NoisyLinear
from training.networks.recurrent import Memory
from training.networks.transformer_memory import TransformerMemory

KINDS = (ActorCritic, Actor, QNetwork, RecurrentActorCritic)
"""The policies whose actions depend on an observation, and on a memory of fixed size."""
STATE, NEXT_STATE = "state", "next_state"


class ActingModule(nn.Module):
    """Named inputs [N, ...] -> named outputs [N, ...], as its `signature` lists them.

    Inputs are `obs`, or `obs/<part>` of Dict and Tuple spaces, as the environment gives them but for float64, which is
    float32 here; `action_mask` [N, A] bool where it is asked for; and of a policy with a memory `state`, zeros where an
    episode begins, which comes back as `next_state`. Outputs are `action`, or `action/<part>`.

    Raises UserError for a policy of another kind, and for a mask that its action space has not.
    """

    def __init__(self, policy: NetworkPolicy, *, action_mask: bool = False) -> None:
        super().__init__()
        if not isinstance(policy, KINDS):
            known = ", ".join(kind.__name__ for kind in KINDS)
            raise UserError(f"a {type(policy).__name__} cannot be exported: it takes one of {known}")
        self.policy = without_noise(policy).cpu().eval()
        self._obs = {named("obs", leaf.name): leaf for leaf in leaves(policy.observation_space)}
        self._actions = {named("action", leaf.name): leaf for leaf in leaves(policy.action_space)}
        for key, leaf in self._obs.items():
            if leaf.counts is not None:
                self.register_buffer(_buffer("start", key), torch.as_tensor(leaf.start), persistent=False)
        for key, leaf in self._actions.items():
            for name, numbers in _numbers(policy, key, leaf).items():
                self.register_buffer(_buffer(name, key), torch.as_tensor(numbers), persistent=False)
        self.signature = _signature(policy, self._obs, self._actions, action_mask=action_mask)

    def forward(self, inputs: Batch) -> Batch:
        seen = {key: self._from_zero(key, inputs[key]) for key in self._obs}
        if "action_mask" in inputs:
            seen["action_mask"] = inputs["action_mask"]
        action, after = self._choose(seen, inputs.get(STATE))
        found = {key: self._as_env_takes_it(key, leaf, action[key]) for key, leaf in self._actions.items()}
        return found if after is None else found | {NEXT_STATE: after}

    def _choose(self, seen: Batch, state: Tensor | None) -> tuple[Batch, Tensor | None]:
        """The policy's own greedy actions, and its memory after them."""
        policy, mask = self.policy, seen.get("action_mask")
        if isinstance(policy, QNetwork):
            values = policy.values(policy(seen))
            values = values if mask is None else values.masked_fill(~mask, -torch.inf)
            return {"action": values.argmax(-1)}, None
        if isinstance(policy, Actor):
            params = policy.params(seen)
            if policy.continuous:
                return {"action": params[..., : policy.head.size].tanh()}, None
            return {"action": params.argmax(-1)}, None
        assert isinstance(policy, ActorCritic | RecurrentActorCritic)
        obs, after = policy.normalized(seen), None
        features = policy.actor_encoder(obs)
        if isinstance(policy, RecurrentActorCritic):
            assert state is not None
            features, after = remembered(policy.actor_memory, features, state)
        by_head = policy.heads.params(policy.actor(features), mask)
        squash = policy.config.squash
        return {key: mode(head, by_head[key], squash=squash) for key, head in policy.heads.heads.items()}, after

    def _from_zero(self, key: str, values: Tensor) -> Tensor:
        return values if self._obs[key].counts is None else values - self.get_buffer(_buffer("start", key))

    def _as_env_takes_it(self, key: str, leaf: Leaf, action: Tensor) -> Tensor:
        """As `NetworkPolicy.env_action` and `Leaf.decode` make it."""
        action = action.reshape(-1, *leaf.shape)
        if leaf.counts is not None:
            action = action + self.get_buffer(_buffer("start", key))
        elif is_float_box(leaf.space):
            low, high, scale, middle = (self.get_buffer(_buffer(name, key)) for name in BOUNDS)
            action = torch.minimum(torch.maximum(action * scale + middle, low), high)
        return action.to(getattr(torch, _dtype_of(leaf.space)))


BOUNDS = ("low", "high", "scale", "middle")


def mode(head: Head, params: Tensor, *, squash: bool) -> Tensor:
    """The most likely action, as `Head.mode` gives it."""
    if isinstance(head, Categorical):
        return params.argmax(-1)
    if isinstance(head, MultiCategorical):
        return torch.stack([logits.argmax(-1) for logits in params.split(head.sizes, -1)], -1)
    if isinstance(head, Bernoulli):
        return params > 0
    mean = params[..., : head.size]
    assert squash or isinstance(head, Gaussian)
    return mean.tanh() if squash else mean


def remembered(memory: Memory | TransformerMemory, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """What is remembered at one step [N, size], and the state after it: `memory.forward` of a sequence of one step.

    That of `Memory` looks where episodes begin, which no exporter can follow; here a beginning is a state of zeros.
    """
    if isinstance(memory, TransformerMemory):
        goes_on = torch.zeros(1, features.shape[0], dtype=torch.bool)
        outputs, after = memory(features[None], goes_on, state)
        return outputs[0], after
    parts = [part.contiguous() for part in state.transpose(0, 1).split(1)]
    if isinstance(memory.cell, nn.LSTM):
        outputs, both = memory.cell(features[None], (parts[0], parts[1]))
        return outputs[0], torch.cat(both).transpose(0, 1)
    outputs, hidden = memory.cell(features[None], parts[0])
    return outputs[0], hidden.transpose(0, 1)


def without_noise(policy: NetworkPolicy) -> Any:
    """A copy of the policy without the noise on its weights, as it acts greedily."""
    policy = copy.deepcopy(policy)
    for layer in policy.modules():
        if isinstance(layer, NoisyLinear):
            layer.noise_in.zero_()
            layer.noise_out.zero_()
    return policy


def _signature(
    policy: NetworkPolicy, obs: dict[str, Leaf], actions: dict[str, Leaf], *, action_mask: bool
) -> Signature:
    inputs = [Value(key, leaf.space, leaf.dtype.name) for key, leaf in obs.items()]
    outputs = [Value(key, leaf.space, _dtype_of(leaf.space)) for key, leaf in actions.items()]
    if action_mask:
        choices = sum(mask_parts(policy.action_space))
        takes = "False: only Discrete and MultiDiscrete actions have one"
        require(choices > 0, "action_mask", action_mask, takes)
        inputs.append(Value("action_mask", spaces.MultiBinary(choices), "bool"))
    if isinstance(policy, RecurrentActorCritic):
        memory = spaces.Box(-np.inf, np.inf, policy.actor_memory.state_shape)
        inputs.append(Value(STATE, memory, "float32"))
        outputs.append(Value(NEXT_STATE, memory, "float32"))
    return Signature(tuple(inputs), tuple(outputs))


def _numbers(policy: NetworkPolicy, key: str, leaf: Leaf) -> dict[str, Any]:
    """What turns the policy's actions into the environment's."""
    if leaf.counts is not None:
        return {"start": leaf.start}
    return dict(zip(BOUNDS, policy.to_bounds(key).as_arrays(), strict=True)) if is_float_box(leaf.space) else {}


def _buffer(name: str, key: str) -> str:
    return f"{name}_of_{key.replace('/', '_')}"


def _dtype_of(space: Space[Any]) -> str:
    return np.dtype(space.dtype).name
