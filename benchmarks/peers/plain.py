"""A plain single-file PPO with CleanRL's published settings and details (https://docs.cleanrl.dev/rl-algorithms/ppo/).

Gymnasium's SyncVectorEnv, torch.distributions, advantages step by step, clipped value errors, annealed learning rate;
returns go to a csv file and the weights to `torch.save`. What a careful reader of the paper writes in an afternoon.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics
from torch import Tensor, nn
from torch.distributions import Categorical

from benchmarks.comparison.measurement import Clock
from benchmarks.comparison.settings import PPOSettings
from benchmarks.peers.common import greedy_return, main


class Agent(nn.Module):
    """Two perceptrons of 64 x 64 tanh on the same observation."""

    def __init__(self, obs_size: int, actions: int) -> None:
        super().__init__()
        self.actor = _perceptron(obs_size, actions, gain=0.01)
        self.critic = _perceptron(obs_size, 1, gain=1.0)

    def forward(self, obs: Tensor) -> tuple[Categorical, Tensor]:
        distribution: Any = Categorical(logits=self.actor(obs))
        return distribution, self.critic(obs).squeeze(-1)


def run(settings: PPOSettings, folder: Path, clock: Clock) -> float:
    """One run; returns the greedy policy's return at its end."""
    np.random.seed(settings.seed)  # shuffles the minibatches
    envs: Any = SyncVectorEnv(
        [lambda: RecordEpisodeStatistics(gym.make(settings.env)) for _ in range(settings.num_envs)],
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    obs_size = int(np.prod(envs.single_observation_space.shape))
    agent = Agent(obs_size, int(envs.single_action_space.n))
    optimizer = torch.optim.Adam(agent.parameters(), lr=settings.learning_rate, eps=settings.adam_eps)

    shape = settings.horizon, settings.num_envs
    obs = torch.zeros(*shape, obs_size)
    actions, log_probs, rewards, dones, values = (torch.zeros(shape) for _ in range(5))
    samples = np.arange(settings.rollout_env_steps)

    with (folder / "returns.csv").open("w", newline="") as file:
        log = csv.writer(file)
        first, _ = envs.reset(seed=settings.seed)
        next_obs, next_done = torch.as_tensor(first), torch.zeros(settings.num_envs)
        clock.start()
        for rollout in range(settings.rollouts):
            if settings.anneal_learning_rate:
                optimizer.param_groups[0]["lr"] = settings.learning_rate * (1 - rollout / settings.rollouts)
            ended: list[float] = []
            for t in range(settings.horizon):
                obs[t], dones[t] = next_obs, next_done
                with torch.no_grad():
                    distribution, values[t] = agent(next_obs)
                    action = distribution.sample()
                    log_probs[t] = distribution.log_prob(action)
                actions[t] = action
                seen, reward, terminated, truncated, info = envs.step(action.numpy())
                rewards[t] = torch.as_tensor(reward)
                next_obs = torch.as_tensor(seen)
                next_done = torch.as_tensor(terminated | truncated, dtype=torch.float32)
                if "final_info" in info:
                    episodes = info["final_info"]["episode"]
                    ended += episodes["r"][info["final_info"]["_episode"]].tolist()

            with torch.no_grad():
                _, bootstrap = agent(next_obs)
            advantages = torch.zeros(shape)
            last = torch.zeros(settings.num_envs)
            for t in reversed(range(settings.horizon)):
                following = bootstrap if t == settings.horizon - 1 else values[t + 1]
                continues = 1 - (next_done if t == settings.horizon - 1 else dones[t + 1])
                error = rewards[t] + settings.gamma * following * continues - values[t]
                advantages[t] = last = error + settings.gamma * settings.gae_lambda * continues * last
            data = [part.flatten(0, 1) for part in (obs, actions, log_probs, advantages, advantages + values, values)]

            for _ in range(settings.epochs):
                np.random.shuffle(samples)
                for begin in range(0, len(samples), settings.minibatch_size):
                    rows = samples[begin : begin + settings.minibatch_size]
                    loss = _loss(agent, settings, *(part[rows] for part in data))
                    optimizer.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(agent.parameters(), settings.max_grad_norm)
                    optimizer.step()

            env_steps = (rollout + 1) * settings.rollout_env_steps
            if (rollout + 1) % settings.rollouts_in(settings.log_every_env_steps) == 0:
                log.writerow([env_steps, np.mean(ended) if ended else "", loss.item()])
                clock.row(env_steps)
            if (rollout + 1) % settings.rollouts_in(settings.checkpoint_every_env_steps) == 0:
                torch.save(agent.state_dict(), folder / "model.pt")
        torch.save(agent.state_dict(), folder / "model.pt")
        clock.stop(env_steps)
    return greedy_return(lambda seen: int(agent.actor(torch.as_tensor(seen)).argmax()), settings)


def _loss(
    agent: Agent,
    settings: PPOSettings,
    obs: Tensor,
    actions: Tensor,
    log_probs: Tensor,
    advantages: Tensor,
    returns: Tensor,
    values: Tensor,
) -> Tensor:
    """The clipped surrogate, the clipped value error and the entropy bonus of one minibatch [B, ...]."""
    distribution, value = agent(obs)
    ratio = (distribution.log_prob(actions) - log_probs).exp()
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    clipped = ratio.clamp(1 - settings.clip_range, 1 + settings.clip_range)
    policy_loss = torch.max(-advantages * ratio, -advantages * clipped).mean()
    near = values + (value - values).clamp(-settings.clip_range, settings.clip_range)
    value_loss = 0.5 * torch.max((value - returns).square(), (near - returns).square()).mean()
    entropy = distribution.entropy().mean()
    loss: Tensor = policy_loss + settings.value_coefficient * value_loss - settings.entropy_coefficient * entropy
    return loss


def _perceptron(inputs: int, outputs: int, *, gain: float) -> nn.Sequential:
    return nn.Sequential(_linear(inputs, 64), nn.Tanh(), _linear(64, 64), nn.Tanh(), _linear(64, outputs, gain))


def _linear(inputs: int, outputs: int, gain: float = 2**0.5) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


if __name__ == "__main__":
    main(run, PPOSettings)
