"""One episode for somebody who watches it: every step, with what the policy thinks of what it sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch

from agents.policies.actor import Actor
from agents.policies.actor_critic import ActorCritic
from agents.policies.heads import Bernoulli, Categorical, Head, MultiCategorical
from agents.policies.policy import NetworkPolicy
from agents.policies.q_network import QNetwork
from agents.policies.recurrent_actor_critic import RecurrentActorCritic
from envs.config import EnvConfig
from envs.returned import ContractError, of_reset, of_step
from envs.vectors.vector import Arrays, EnvFault, describe_fault, episode_seed
from training.core import Batch
from training.seeding import generator

Thoughts = dict[str, Any]
"""What a policy thinks, by name: probabilities, mean, deviation, value, action_values, as far as it has them."""


class Moment(NamedTuple):
    """A step of an episode, once it was taken."""

    obs: Any
    """What was acted on."""
    action: Any
    """The environment's."""
    thoughts: Thoughts
    total_reward: float
    """So far, with this step's."""
    length: int
    """Env steps so far."""
    ended: bool


def watch(
    config: EnvConfig,
    env: gym.Env[Any, Any],
    policy: NetworkPolicy,
    *,
    seed: int,
    episode: int,
    greedy: bool,
    max_steps: int,
    thinking: bool,
) -> Iterator[Moment | None]:
    """Plays an episode of environment 0 of `make_vec(config, ..., seed=seed)`; first None, for its beginning.

    The moment after `max_steps` is the last one, ended or not. `thinking` also asks the policy what it thinks. Raises
    EnvFault where the environment breaks its contract.
    """
    act = policy.acting("greedy" if greedy else "explore", rows=1)
    rng = generator(seed, "watching", episode)
    state: Arrays = {}
    action, total, reward = None, 0.0, 0.0
    length = 0
    try:
        obs, info = of_reset(env.reset(seed=episode_seed(seed, 0, episode)))
        yield None
        for length in range(1, max_steps + 1):
            mask = info.get("action_mask")
            step = policy.step_of(obs, is_first=length == 1, action_mask=mask, reward=reward)
            thoughts = thoughts_of(policy, step, state) if thinking else {}
            chosen, state = act(step, state, {} if greedy else policy.noise((1,), rng))
            action, before = policy.only_env_action(chosen), obs
            obs, reward, terminated, truncated, info = of_step(env.step(action))
            total += reward
            yield Moment(before, action, thoughts, total, length, terminated or truncated)
            if terminated or truncated:
                return
    except ContractError as error:
        raise EnvFault(describe_fault(config.id, 0, episode, length, action, str(error))) from error


@torch.no_grad()
def thoughts_of(policy: NetworkPolicy, step: Arrays, state: Arrays) -> Thoughts:
    """What the policy thinks of one step (arrays [1, ...]); empty for a kind whose thoughts are not known here."""
    batch = {key: torch.from_numpy(np.ascontiguousarray(value)).to(policy.device) for key, value in step.items()}
    if isinstance(policy, ActorCritic):
        params = policy.heads.params(policy.actor(policy.actor_encoder(policy.normalized(batch))), _mask(batch))
        return _told_by_heads(policy.heads.heads, params) | {"value": float(policy.value(batch))}
    if isinstance(policy, RecurrentActorCritic):
        return _remembering(policy, batch, state)
    if isinstance(policy, QNetwork):
        values = policy.values(policy(batch))[0]
        if (mask := _mask(batch)) is not None:
            values = values.where(mask[0], torch.nan)
        return {"action_values": values.cpu().numpy()}
    if isinstance(policy, Actor):
        outputs = policy.params(batch)[0]
        if isinstance(policy.head, Categorical):
            return {"probabilities": outputs.softmax(-1).cpu().numpy()}
        mean = {"mean": outputs[: policy.head.size].tanh().cpu().numpy()}
        return mean if policy.deterministic else mean | _deviation(outputs[policy.head.size :])
    network = getattr(policy, "network", None)
    if network is not None and not policy.has_memory:
        return _of_stable_baselines3(policy, network, step)
    return {}


def _mask(batch: Batch) -> torch.Tensor | None:
    return batch.get("action_mask")


def _remembering(policy: RecurrentActorCritic, batch: Batch, state: Arrays) -> Thoughts:
    empty = np.zeros((1, *policy.actor_memory.state_shape), np.float32)
    names = ("actor",) if policy.config.shared_memory else ("actor", "critic")
    now = {key: value[None] for key, value in batch.items()}
    now |= {f"state/{name}": torch.from_numpy(state.get(name, empty)).to(policy.device) for name in names}
    actor, critic, _ = policy.unroll(now)
    params = policy.heads.params(policy.actor(actor[0]), _mask(batch))
    return _told_by_heads(policy.heads.heads, params) | {"value": float(policy.critic(critic[0]))}


def _told_by_heads(heads: Mapping[str, Head], params: Mapping[str, torch.Tensor]) -> Thoughts:
    told: Thoughts = {}
    for key, head in heads.items():
        row, where = params[key][0], key.removeprefix("action").replace("/", " ")
        if isinstance(head, Categorical):
            told[f"probabilities{where}"] = row.softmax(-1).cpu().numpy()
        elif isinstance(head, MultiCategorical):
            for index, logits in enumerate(row.split(head.sizes)):
                told[f"probabilities{where} {index}"] = logits.softmax(-1).cpu().numpy()
        elif isinstance(head, Bernoulli):
            told[f"probabilities{where}"] = row.sigmoid().cpu().numpy()
        else:
            told[f"mean{where}"] = row[: head.size].cpu().numpy()
            told |= {f"{name}{where}": value for name, value in _deviation(row[head.size :]).items()}
    return told


def _deviation(log_std: torch.Tensor) -> Thoughts:
    return {"deviation": log_std.exp().cpu().numpy()}


def _of_stable_baselines3(policy: NetworkPolicy, network: Any, step: Arrays) -> Thoughts:
    """Of its policies with values or a distribution; its actors of SAC and TD3 tell none."""
    from agents.libraries.sb3_vec_env import observations_for_sb3

    seen = observations_for_sb3(policy.normalization_of_arrays()(step), policy.observation_space)
    obs, _ = network.obs_to_tensor(seen)
    if hasattr(network, "q_net"):
        return {"action_values": network.q_net(obs)[0].cpu().numpy()}
    if not hasattr(network, "predict_values"):
        return {}
    masks = {"action_masks": step["action_mask"]} if "action_mask" in step else {}
    distribution = network.get_distribution(obs, **masks).distribution
    told: Thoughts = {"value": float(network.predict_values(obs))}
    if hasattr(distribution, "probs"):
        told["probabilities"] = distribution.probs[0].cpu().numpy()
    elif hasattr(distribution, "mean"):
        told |= {"mean": distribution.mean[0].cpu().numpy(), "deviation": distribution.stddev[0].cpu().numpy()}
    return told
