"""TorchRL's PPO as its tutorial and examples write it: a collector, GAE, a replay buffer without replacement.

The loop around the parts is the user's own there, so it is ours here; returns go to TorchRL's csv logger and the state
of loss and optimizer to `torch.save`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.data.replay_buffers.samplers import SamplerWithoutReplacement
from torchrl.envs import RewardSum, SerialEnv, TransformedEnv
from torchrl.envs.libs.gym import GymEnv
from torchrl.modules import MLP, OneHotCategorical, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE
from torchrl.record import CSVLogger

from benchmarks.comparison.measurement import Clock
from benchmarks.comparison.settings import PPOSettings
from benchmarks.peers.common import greedy_return, main


def run(settings: PPOSettings, folder: Path, clock: Clock) -> float:
    """One run; returns the greedy policy's return at its end."""
    envs = TransformedEnv(
        SerialEnv(settings.num_envs, lambda: GymEnv(settings.env, device="cpu")),
        RewardSum(),
    )
    envs.set_seed(settings.seed)
    obs_size, actions = envs.observation_spec["observation"].shape[-1], envs.action_spec.shape[-1]
    actor = ProbabilisticActor(
        TensorDictModule(_perceptron(obs_size, actions, gain=0.01), in_keys=["observation"], out_keys=["logits"]),
        in_keys=["logits"],
        spec=envs.action_spec_unbatched,
        distribution_class=OneHotCategorical,
        return_log_prob=True,
    )
    critic = ValueOperator(_perceptron(obs_size, 1, gain=1.0), in_keys=["observation"])
    advantages = GAE(gamma=settings.gamma, lmbda=settings.gae_lambda, value_network=critic, average_gae=False)
    loss_module = ClipPPOLoss(
        actor,
        critic,
        clip_epsilon=settings.clip_range,
        entropy_coeff=settings.entropy_coefficient,
        critic_coeff=settings.value_coefficient,
        loss_critic_type="l2",
        normalize_advantage=True,
    )
    optimizer = torch.optim.Adam(loss_module.parameters(), lr=settings.learning_rate, eps=settings.adam_eps)
    collector = Collector(
        envs,
        actor,
        frames_per_batch=settings.rollout_env_steps,
        total_frames=settings.rollouts * settings.rollout_env_steps,
        device="cpu",
        auto_register_policy_transforms=False,
    )
    buffer = TensorDictReplayBuffer(
        storage=LazyTensorStorage(settings.rollout_env_steps),
        sampler=SamplerWithoutReplacement(),
        batch_size=settings.minibatch_size,
    )
    log = CSVLogger("run", log_dir=str(folder))

    env_steps = 0
    clock.start()
    for rollout, data in enumerate(collector):
        env_steps += data.numel()
        if settings.anneal_learning_rate:
            optimizer.param_groups[0]["lr"] = settings.learning_rate * (1 - rollout / settings.rollouts)
        with torch.no_grad():
            advantages(data)
        buffer.extend(data.reshape(-1))
        for _ in range(settings.epochs):
            for minibatch in buffer:
                losses = loss_module(minibatch)
                loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(loss_module.parameters(), settings.max_grad_norm)
                optimizer.step()
        collector.update_policy_weights_()
        if (rollout + 1) % settings.rollouts_in(settings.log_every_env_steps) == 0:
            ended = data["next", "episode_reward"][data["next", "done"]]
            if len(ended):
                log.log_scalar("rollout/return", ended.mean().item(), step=env_steps)
            log.log_scalar("loss", loss.item(), step=env_steps)
            clock.row(env_steps)
        if (rollout + 1) % settings.rollouts_in(settings.checkpoint_every_env_steps) == 0:
            _save(loss_module, optimizer, folder)
    _save(loss_module, optimizer, folder)
    clock.stop(env_steps)
    collector.shutdown()

    network = actor.module[0].module
    return greedy_return(lambda obs: int(network(torch.as_tensor(obs)).argmax()), settings)


def _save(loss_module: Any, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    torch.save({"loss": loss_module.state_dict(), "optimizer": optimizer.state_dict()}, folder / "model.pt")


def _perceptron(inputs: int, outputs: int, *, gain: float) -> nn.Sequential:
    network: nn.Sequential = MLP(
        in_features=inputs, out_features=outputs, num_cells=[64, 64], activation_class=nn.Tanh, device="cpu"
    )
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain if layer is layers[-1] else 2**0.5)
        nn.init.zeros_(layer.bias)
    return network


if __name__ == "__main__":
    main(run, PPOSettings)
