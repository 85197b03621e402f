"""PPO for a policy with a memory: it learns from sequences, and the gradient flows back through what was remembered.

The algorithm is PPO's (Schulman et al. 2017, https://arxiv.org/abs/1707.06347, algorithm 1; its equations 7 and 9 are
`ppo_loss`). A rollout is cut into sequences of `sequence_length` steps of one environment; a minibatch is a number of
whole sequences (Huang et al. 2022, "The 37 implementation details of proximal policy optimization", LSTM details 3 to
5). Within a sequence the memory is computed anew with the weights of each gradient step and is empty where an episode
begins. What it holds before the first step is what the policy that acted remembered (the "stored state" of Kapturowski
et al. 2019, R2D2, section 3): exact in the first gradient step on a rollout, older than the weights in the later ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from agents.policies.policy import PolicyAndParts
from agents.policies.recurrent_actor_critic import RecurrentActorCritic, RecurrentActorCriticConfig
from agents.updates.configs import ClippedConfig, GAEConfig
from agents.updates.estimators import gae
from agents.updates.losses import mean_kl, ppo_loss
from agents.updates.minibatches import shuffled_minibatches
from agents.updates.rollout_samples import continues, discount, explained_variance, normalized, observations
from training.core import Batch, Budget, Counters, to_device
from training.errors import require
from training.metrics import Last, Mean, Metrics, merge_metrics
from training.optimizer import Loss, Optimizer, OptimizerConfig, Schedule
from training.seeding import generator
from training.state import Parts

_SEQUENCES = ("obs", "action", "action_mask", "is_first", "valid")
"""What the policy needs of each step, besides its state before the first."""


@dataclass(frozen=True, kw_only=True)
class RecurrentPPOConfig(ClippedConfig, GAEConfig):
    """Recurrent PPO's hyperparameters; the defaults are PPO's."""

    policy_config: ClassVar[type] = RecurrentActorCriticConfig
    """Of the policy that it takes."""
    can_compile: ClassVar[bool] = False
    """Where episodes begin is only known when it runs, and cuts the memory's sequences (see `Memory`). A loop over
    steps could be compiled: for 32 steps of one LSTM in 41 s, for 128 in 203 s."""

    horizon: int = 128
    sequence_length: int | None = None
    """Steps through which the gradient flows back; must divide horizon; None: the whole horizon."""
    minibatch_size: int = 256
    """Samples in one gradient step; a multiple of the sequence length that divides horizon * num_envs."""
    clip_range: float = 0.2
    clip_schedule: Schedule = Schedule()
    entropy_coefficient: float = 0.0
    target_kl: float | None = None
    """Ends the update after the first epoch that is 1.5 times this far from the policy that acted, in nats."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4, eps=1e-5, max_grad_norm=0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        length = self.steps_per_sequence
        divides = length >= 1 and self.horizon % length == 0
        require(divides, "sequence_length", length, f"a divisor of horizon = {self.horizon}, or None")
        takes = f"at least 2 samples, and whole sequences of {length} steps"
        require(self.minibatch_size % length == 0, "minibatch_size", self.minibatch_size, takes)
        require(self.target_kl is None or self.target_kl > 0, "target_kl", self.target_kl, "a positive number or None")
        takes = "False: recurrent PPO's sequences are cut where episodes begin, which cannot be compiled"
        require(not self.optimizer.compile, "compile", self.optimizer.compile, takes)

    @property
    def steps_per_sequence(self) -> int:
        return self.horizon if self.sequence_length is None else self.sequence_length


class RecurrentPPO(PolicyAndParts):
    """Learns from rollouts [T, N]: `epochs` passes of clipped policy gradients over the sequences of each."""

    def __init__(self, policy: RecurrentActorCritic, config: RecurrentPPOConfig, *, until: Budget, seed: int) -> None:
        self.policy = policy
        self._config = config
        self._until = until
        self._optimizer = Optimizer(dict(policy.named_parameters()), config.optimizer, until=until)
        self._rng = generator(seed, "minibatches")
        self.parts: Parts = {"optimizer": self._optimizer, "rng": self._rng}
        self._clip_range = torch.tensor(config.clip_range, device=policy.device)

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        config = self._config
        data = self._with_targets(to_device(batch, self.policy.device))
        value = data.pop("value")  # only measured
        clip_range = config.clip_range * config.clip_schedule.multiplier(now, self._until)
        self._clip_range.fill_(clip_range)
        measured: list[Metrics] = []
        for _ in range(config.epochs):
            shuffled = shuffled_minibatches(data, config.minibatch_size // config.steps_per_sequence, self._rng)
            epoch = [self._optimizer.step(self._loss, data, now, rows, self._normalized) for rows in shuffled]
            measured += epoch
            if config.target_kl and mean_kl(epoch) > 1.5 * config.target_kl:
                break
        valid = data["valid"]
        self.policy.update_normalizers({key: data[key][valid] for key in self.policy.obs_spaces})
        extra: Metrics = {
            "value/explained_variance": Mean(explained_variance(value[valid], data["return"][valid])),
            "policy/clip_range": Last(clip_range),
        }
        return merge_metrics(measured) | extra, {}

    def _loss(self, batch: Batch) -> Loss:
        """Of sequences [S, L, ...]: all their valid steps are samples."""
        valid = batch["valid"]
        sequences = {key: value if key.startswith("state/") else value.transpose(0, 1) for key, value in batch.items()}
        log_prob, entropy, value, _ = self.policy.evaluate(sequences)
        evaluated = log_prob.T[valid], entropy.T[valid], value.T[valid]
        samples = {key: batch[key][valid] for key in ("log_prob", "advantage", "return")}
        return ppo_loss(evaluated, self._config, self._clip_range, samples)

    @torch.no_grad()
    def _with_targets(self, batch: Batch) -> Batch:
        """The rollout as sequences [S, L, ...] with log-probability, advantage, return and the state before each."""
        config, horizon = self._config, len(batch["reward"])
        log_prob, values, states = self._replayed(batch)
        value, next_value = values[:-1], values[1:].clone()
        t, n = batch["final_index"].unbind(1)
        if len(t):
            next_value[t, n] = self._final_values(batch)
        advantage = gae(
            batch["reward"], discount(batch, config.gamma), value, next_value, continues(batch), config.gae_lambda
        )
        data = {key: rows[:horizon] for key, rows in batch.items() if key.split("/")[0] in _SEQUENCES}
        data |= {"log_prob": log_prob, "value": value, "advantage": advantage, "return": advantage + value}
        data.setdefault("valid", torch.ones_like(batch["terminated"]))
        sequences = {key: self._sequences(rows) for key, rows in data.items()} | states
        # Of those without a valid step a minibatch of nothing could be made.
        learned = sequences["valid"].any(1)
        return sequences if learned.all() else {key: rows[learned] for key, rows in sequences.items()}

    def _replayed(self, batch: Batch) -> tuple[Tensor, Tensor, Batch]:
        """Log-probabilities [T, N], values [T+1, N] and the state before each sequence, by the weights that acted."""
        horizon, length = len(batch["reward"]), self._config.steps_per_sequence
        rows = {key: value for key, value in batch.items() if key.split("/")[0] in _SEQUENCES}
        state = {key: value for key, value in batch.items() if key.startswith("state/")}
        log_probs, values, states = [], [], []
        for begin in range(0, horizon, length):
            states.append(state)
            sequence = {key: value[begin : begin + length] for key, value in rows.items()}
            log_prob, _, value, state = self.policy.evaluate(sequence | state)
            log_probs.append(log_prob)
            values.append(value)
        values.append(self.policy.value({key: value[horizon:] for key, value in rows.items()} | state))
        before = {key: torch.cat([state[key] for state in states]) for key in state}
        return torch.cat(log_probs), torch.cat(values), before

    def _final_values(self, batch: Batch) -> Tensor:
        """The value [K] of each final observation, seen with what was remembered before it: no reset lies between."""
        seen = {key: value[None] for key, value in observations(batch, "final_obs").items()}
        remembered = {
            key.removeprefix("final_"): value for key, value in batch.items() if key.startswith("final_state/")
        }
        goes_on = torch.zeros(1, len(batch["final_index"]), dtype=torch.bool, device=self.policy.device)
        return self.policy.value(seen | remembered | {"is_first": goes_on}).squeeze(0)

    def _sequences(self, rows: Tensor) -> Tensor:
        """[T, N, ...] as sequences [S, L, ...]: first those of the first L steps, one for each environment."""
        pieces = rows.reshape(-1, self._config.steps_per_sequence, *rows.shape[1:])
        return pieces.transpose(1, 2).flatten(0, 1)

    def _normalized(self, minibatch: Batch) -> Batch:
        """The minibatch with the advantages of its valid steps normalized (Huang et al., detail 7)."""
        if not self._config.normalize_advantage:
            return minibatch
        advantage, valid = minibatch["advantage"], minibatch["valid"]
        return minibatch | {"advantage": advantage.masked_scatter(valid, normalized(advantage[valid]))}
